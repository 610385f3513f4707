"""The results of a run as a page with charts: one file of HTML, which needs no script."""

from protouser.page._page import page

__all__ = ["page"]
