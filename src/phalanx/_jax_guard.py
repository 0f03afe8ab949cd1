"""Versions of JAX that compute wrongly, refused at import: nothing but the numbers would tell.

This file imports nothing, so that asking costs nothing: the versions are read from the installed
packages' metadata, not from JAX itself.
"""

# On CPU these compile a batched matrix-vector product that is followed by a quadratic cost wrongly,
# and silently, just past certain batch sizes: jax-ml/jax#39103.
WRONG = {"jax": ("0.10.2", "0.11.0"), "jaxlib": ("0.10.2",)}


def check(jax_version: str, jaxlib_version: str) -> None:
    """Refuse a JAX that is known to compute wrongly.

    Args:
        jax_version: of the installed `jax`, for example "0.10.1".
        jaxlib_version: of the installed `jaxlib`.

    Raises:
        ImportError: a version known to be wrong, by name, and what to install instead.

    Example:
        >>> check("0.10.1", "0.10.1")
        >>> check("0.10.1", "0.10.2")
        Traceback (most recent call last):
        ImportError: jaxlib 0.10.2 computes wrong numbers without a word (jax-ml/jax#39103), so phalanx does not run beside it; install another version: pip install "jax!=0.10.2,!=0.11.0" "jaxlib!=0.10.2".
    """
    for package, version in (("jax", jax_version), ("jaxlib", jaxlib_version)):
        if version in WRONG[package]:
            wanted = " ".join(
                f'"{name}' + ",".join(f"!={bad}" for bad in versions) + '"'
                for name, versions in WRONG.items()
            )
            raise ImportError(
                f"{package} {version} computes wrong numbers without a word (jax-ml/jax#39103), so phalanx does "
                f"not run beside it; install another version: pip install {wanted}."
            )
