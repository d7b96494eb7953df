"""The browser of saved runs: find, choose and compare them."""

from mmpid.widgets.browser.run_browser import RunBrowser

__all__ = ["RunBrowser"]
