"""The course: what notebooks use on top of the library and the bench, and what runs them."""
