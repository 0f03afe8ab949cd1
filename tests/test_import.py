"""Importing phalanx is cheap and safe: names load when used, and a JAX known to be wrong is refused.

Everything about a fresh import runs in a fresh interpreter.
"""

import subprocess
import sys

import pytest

import phalanx


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_phalanx_loads_neither_jax_nor_scipy():
    loaded = python(
        "import sys, phalanx; print(*(m for m in ('jax', 'scipy') if m in sys.modules))"
    )
    assert loaded.split() == []


@pytest.mark.parametrize("name", phalanx.__all__)
def test_every_public_name_resolves(name):
    assert getattr(phalanx, name) is not None


def test_dir_lists_every_public_name():
    assert set(phalanx.__all__) <= set(dir(phalanx))


def test_no_public_name_is_also_a_module():
    """A function named like a folder is replaced by it as soon as anything imports from the folder."""
    clashes = python(
        "import importlib, pkgutil, phalanx\n"
        "modules = {module.name for module in pkgutil.iter_modules(phalanx.__path__)}\n"
        "print(*sorted(modules & set(phalanx.__all__)))"
    )
    assert clashes.split() == []


@pytest.mark.parametrize("order", ["", "[::-1]"], ids=["forwards", "backwards"])
def test_no_module_hides_a_name_whatever_the_order(order):
    hidden = python(
        "import sys, phalanx\n"
        f"names = phalanx.__all__{order}\n"
        "[getattr(phalanx, name) for name in names]\n"
        "print(*(n for n in names if getattr(phalanx, n) is sys.modules.get(f'phalanx.{n}')))"
    )
    assert hidden.split() == []


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="module 'phalanx' has no attribute 'simulatte'"):
        _ = phalanx.simulatte


def test_the_version_is_the_installed_one():
    from importlib.metadata import version

    assert phalanx.__version__ == version("phalanx")


# --- the guard ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jax", "jaxlib", "named"),
    [
        ("0.10.2", "0.10.1", "jax 0.10.2"),
        ("0.10.1", "0.10.2", "jaxlib 0.10.2"),
        ("0.10.2", "0.10.2", "jax 0.10.2"),
        ("0.11.0", "0.11.0", "jax 0.11.0"),
    ],
)
def test_a_jax_known_to_be_wrong_is_refused_by_name(jax, jaxlib, named):
    from phalanx._jax_guard import check

    with pytest.raises(ImportError, match=rf"{named}\b.*install another version"):
        check(jax, jaxlib)


@pytest.mark.parametrize(
    ("jax", "jaxlib"), [("0.10.0", "0.10.0"), ("0.10.1", "0.10.1"), ("0.11.2", "0.11.2")]
)
def test_every_other_jax_is_let_in(jax, jaxlib):
    from phalanx._jax_guard import check

    check(jax, jaxlib)


def test_the_installed_jax_is_let_in():
    from importlib.metadata import version

    from phalanx._jax_guard import check

    check(version("jax"), version("jaxlib"))


def test_importing_phalanx_beside_a_wrong_jax_says_so():
    said = python(
        "import importlib.metadata as metadata\n"
        "right = metadata.version\n"
        "metadata.version = lambda name: '0.10.2' if name in ('jax', 'jaxlib') else right(name)\n"
        "try:\n"
        "    import phalanx\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    assert "jax 0.10.2" in said
