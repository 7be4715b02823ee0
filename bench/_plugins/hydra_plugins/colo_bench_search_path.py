"""A Hydra search path that ends with ``conf/`` of the current folder: choices of one's own, without an option."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra.plugins.search_path_plugin import SearchPathPlugin

from bench.places import CONF, OWN_CONF

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath


class ColoBenchSearchPath(SearchPathPlugin):
    """Appends the folder, so that it adds files and changes none of ours."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append it if it is there and not the one that the program comes with."""
        if OWN_CONF.is_dir() and OWN_CONF.resolve() != CONF:
            search_path.append("colo-bench", f"file://{OWN_CONF.absolute()}")
