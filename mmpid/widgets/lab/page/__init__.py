"""The competition lab as one HTML file: no kernel, no network, the state in the address."""

from mmpid.widgets.lab.page.write import page, write_page

__all__ = ["page", "write_page"]
