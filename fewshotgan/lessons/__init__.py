"""The course: what notebooks use beside the library and the bench, and what runs them."""
