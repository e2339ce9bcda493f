"""Every metric, by its name: nothing else knows which values of one are better, or how it is printed."""

from difflib import get_close_matches

from fewshotgan.files import UserError
from fewshotgan.metrics import classes, critic, diversity, frechet, kernel, laplacian, mmd, neighbours, prd, selector
from fewshotgan.metrics.metric import Metric

_FILES = (frechet, kernel, neighbours, diversity, mmd, laplacian, prd, critic, classes, selector)
METRICS: dict[str, Metric] = {metric.name: metric for file in _FILES for metric in file.METRICS}


def get_metric(name: str) -> Metric:
    """Return a metric.

    Raises:
        UserError: if there is none of that name.
    """
    if not isinstance(name, str) or name not in METRICS:
        near = get_close_matches(str(name), METRICS, n=1) or list(METRICS)[:1]
        raise UserError(f"There is no metric {str(name)[:60]!r}; there is {near[0]}, and METRICS lists them all.")
    return METRICS[name]
