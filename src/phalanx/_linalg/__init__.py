"""Matrix equations and the algebras they are solved in."""

from phalanx._linalg._algebra import LAPACK, Algebra

__all__ = ["LAPACK", "Algebra"]
