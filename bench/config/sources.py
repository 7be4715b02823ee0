"""The files of a configuration as people write them: read with the file and the line of what cannot be read."""

from __future__ import annotations

import copy
import io
import os
import re
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.version import setbase
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException

from bench.config.misread import require_as_read
from bench.config.written import EXPERIMENT
from bench.errors import ConfigError
from bench.system.files import is_file, is_folder
from bench.system.places import CONF, OWN_CONF

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hydra.core.config_loader import ConfigLoader
    from hydra.core.object_type import ObjectType
    from omegaconf import Container

_Names: TypeAlias = "list[str]"

_SCHEME = "conf"
_GLOBAL = "# @package _global_"
_MENDS: Mapping[str, str] = {
    r"'\\t'": "indent with blanks, not with tabs",
    "duplicate key": "keep one of the two",
    "cannot start any token": "put the value into quotes",
    "<stream end>|<block end>|<scalar>": "close the bracket, brace or quote, or put the value into quotes",
    "undefined alias|expected alphabetic": "put the value into quotes: * and & have a meaning of their own",
    "single document": "keep one document, without a line of ---",
    "mapping values": "one KEY: VALUE on a line; put a value that holds a colon into quotes",
    "could not determine a constructor": "write a plain value, without !",
}
"""What mends a mistake, by what the parser says of it."""

ConfigStore.instance().store(
    group="hydra/sweeper",
    name="colo_bench",
    node={
        "params": {},  # overrides that an experiment brings; the command line wins over them
        "grids": [],  # or several such sets, when the cells are no single grid
        # By guest, where a size is swept and no experiment or workload chosen: `every` of all cells, `mem` over RAM.
        "arms": {},
    },
    provider="colo-bench",
)

_MOST_VALUES = 100_000
"""Of a file, its aliases written out: a few lines of them can stand for millions."""

_MOST_BYTES = 1 << 20
"""Of a file that a person writes: a log or a disk image, named by mistake, takes hours to be parsed."""


class Written(FileConfigSource):
    """A folder of configuration files, whose mistakes are refused by file and line."""

    @staticmethod
    def scheme() -> str:
        """Return what a search path begins with that leads here."""
        return _SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one file.

        Raises:
            ConfigError: it cannot be read, or does not hold what a configuration does.
        """
        path = Path(self.path, self._normalize_file_name(config_path))
        with _read_as_written(path):
            config, header = _parsed(path, _text(path))
        loaded = ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://{self.path}",
            config=copy.deepcopy(config),  # composing changes it
            header=dict(header),
        )
        if not isinstance(loaded.config, DictConfig):
            raise ConfigError(f"{path}: it holds a list and no keys", hint="write KEY: VALUE on each line")
        if config_path.startswith(f"{EXPERIMENT}/") and loaded.header["package"] != "_global_":
            raise ConfigError(
                f"{path}: an experiment sets keys of the whole configuration, and does not say so",
                hint=f"begin the file with the line {_GLOBAL}",
            )
        _require_sweeper(path, loaded.config, own=config_path.startswith(f"{EXPERIMENT}/"))
        return loaded

    def list(self, config_path: str, results_filter: ObjectType | None) -> _Names:
        """Return what lies in one of its folders.

        Raises:
            ConfigError: it cannot be read.
        """
        with _read_as_written(Path(self.path, config_path)):
            return super().list(config_path, results_filter)


def read_plain(path: Path) -> Any:
    """Return what a file of the user's holds: plain values, read as the files of a configuration are.

    It is read once, so that it may be a pipe.

    Raises:
        ConfigError: it cannot be read; the message has the line.
    """
    with _read_as_written(path):
        text = _text(path)
        _require_plain(path, text)
        return yaml.load(text, get_yaml_loader())  # noqa: S506 - a safe loader, which takes no key twice


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ConfigError(
            f"{path}: it is larger than {_MOST_BYTES >> 20} MiB, which no file of a configuration is",
            hint="name the file that was meant",
        )
    return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


@lru_cache(maxsize=256)
def _parsed(path: Path, text: str) -> tuple[Container, dict[str, str | None]]:
    """Return what a file's text says and its header: read once for all cells, as reading is most of composing."""
    if isinstance(_require_plain(path, text), yaml.ScalarNode) and text.strip():
        raise ConfigError(
            f"{path}: it holds words and no keys", hint="write KEY: VALUE on each line, with : and a blank"
        )
    return OmegaConf.load(io.StringIO(text)), ConfigSource._get_header_dict(text)  # noqa: SLF001 - as Hydra's own source does


def _require_plain(path: Path, text: str) -> yaml.Node | None:
    """Return what a file holds; refuse aliases that make it endless or very large, and what is not read as written."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        if known == 0:
            raise ConfigError(
                f"{path}:{node.start_mark.line + 1}: an alias stands inside of what it is an alias of",
                hint="write out what it should be",
            )
        if known is None:
            sizes[id(node)] = 0
            require_as_read(path, node)
            inside = node.value if isinstance(node, yaml.SequenceNode | yaml.MappingNode) else ()
            parts = (one for each in inside for one in (each if isinstance(each, tuple) else (each,)))
            known = sizes[id(node)] = 1 + sum(map(size, parts))
        return known

    tree = yaml.compose(text, get_yaml_loader())
    if tree is not None and size(tree) > _MOST_VALUES:
        raise ConfigError(f"{path}: written out, its aliases are more than {_MOST_VALUES:,} values", hint="use fewer")
    return tree


def _require_sweeper(path: Path, config: DictConfig, *, own: bool) -> None:
    """Refuse what stands where a file's ``hydra.sweeper`` belongs and holds no keys: Hydra trips over it.

    In an experiment also whatever stands beside it, as it is refused where it is typed.
    """
    node: Any = OmegaConf.to_container(config)
    for key, name in (("hydra", "hydra"), ("sweeper", "hydra.sweeper")):
        others, node = node.keys() - {key}, node.get(key, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{path}: {name} holds no keys", hint="hydra: {sweeper: {params: {KEY: VALUES}}}")
        if own and key == "sweeper" and (beside := sorted(map(str, others))):
            raise ConfigError(
                f"{path}: hydra.{beside[0]}: Hydra's own settings have no effect on a campaign",
                hint="take it out of the file: nothing but hydra.sweeper counts",
            )


def make_loader(folder: str | None = None) -> ConfigLoader:
    """Return what composes configurations from our files, and from those of a folder of the user's own.

    Raises:
        ConfigError: the folder is none, or cannot be read.
    """
    setbase("1.3")
    Plugins.instance()  # registers Hydra's own sources first
    SourcesRegistry.instance().register(Written)
    search = ConfigSearchPathImpl()
    search.append("hydra", f"{_SCHEME}://{files('hydra.conf')}")
    search.append("main", f"{_SCHEME}://{CONF}")
    if folder is not None:
        _require_folder(folder)
        search.append("command-line", f"{_SCHEME}://{folder}")
    if is_folder(OWN_CONF) and os.access(OWN_CONF, os.R_OK | os.X_OK) and OWN_CONF.resolve() != CONF:
        search.append("current folder", f"{_SCHEME}://{OWN_CONF}")  # last: it adds files and changes none of ours
    search.append("schema", "structured://")
    return ConfigLoaderImpl(search)


def _require_folder(folder: str) -> None:
    if "${" in folder:
        raise ConfigError(
            f"--config-dir {folder}: Hydra takes the ${{ in its name for a reference", hint="link to it: ln -s"
        )
    try:
        for _ in Path(folder).iterdir():
            return
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"--config-dir {folder}: {why}", hint="name a folder that holds experiment/NAME.yaml or the like"
        ) from error


def refuse_misnamed(name: str, folder: str | None) -> None:
    """Refuse a file that was meant and is called otherwise than Hydra's are; return when there is none.

    Raises:
        ConfigError: there is one.
    """
    for path in (Path(one, f"{name}.yaml") for one in (folder, OWN_CONF) if one):
        meant = next((one for end in (".yml", ".YAML", "") if is_file(one := path.with_suffix(end))), None)
        if meant:
            raise ConfigError(f"{meant}: it is not called {path.name}", hint=f"mv {meant} {path}")
        if is_folder(path):
            raise ConfigError(f"{path}: it is a folder and no file", hint="put the keys into a file of that name")


@contextmanager
def _read_as_written(path: Path) -> Iterator[None]:
    """Say file and line of what cannot be read inside the block.

    Raises:
        ConfigError: something cannot.
    """
    try:
        yield
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}{_place(error)}", hint=_mend(str(error))) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: it is not UTF-8", hint="store the file in UTF-8") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {_one_line(error)}", hint="remove the character") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or _one_line(error)}", hint="make it readable") from error
    except (OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
        hint = "write plain numbers, words, lists and KEY: VALUE; quote a date"
        what = "it is nested too deeply" if isinstance(error, RecursionError) else _one_line(error)
        raise ConfigError(f"{path}: {what}", hint=hint) from error


def _place(error: yaml.MarkedYAMLError) -> str:
    """Return the line and what is wrong there, with where the thing that it ends began."""
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark else ""
    began = error.context_mark
    since = f", {error.context} that begins in line {began.line + 1}" if error.context and began else ""
    return f"{line}: {error.problem or 'it cannot be read'}{since}"


def _mend(said: str) -> str:
    return next((mend for words, mend in _MENDS.items() if re.search(words, said)), "correct that line")


def _one_line(error: Exception) -> str:
    said, _, _ = str(error).partition("full_key:")  # what OmegaConf adds is for who knows it
    return " ".join(said.split()) or type(error).__name__
