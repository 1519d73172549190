"""Sizes of the samples: chains, draws, tuning."""

from __future__ import annotations

from dataclasses import dataclass

from bayes_hte.effects.arguments import check_number
from bayes_hte.fitting.progress import Report
from bayes_hte.threads import available_cores


@dataclass(frozen=True)
class SamplerSize:
    """Sizes of the samples.

    Attributes
    ----------
    chains : int
        Chains; convergence cannot be judged with fewer than two.
    draws, tune : int
        Kept draws and tuning iterations of each chain.
    cores : int or None
        Chains that run at the same time; None for as many as the machine has cores, at most four.
        The draws do not depend on it.
    progress : bool or callable (int, int)
        Whether to show progress, or a function that is called with the iterations done and their
        number, over all chains of a component.
    """

    chains: int = 4
    draws: int = 500
    tune: int = 300
    cores: int | None = None
    progress: bool | Report = True

    def __post_init__(self) -> None:
        """Refuse sizes that nothing can be sampled with.

        Raises
        ------
        SpecError
            Naming the first that is not a whole number in its range.
        """
        smallest = {"chains": 1, "draws": 1, "tune": 0}
        smallest |= {} if self.cores is None else {"cores": 1}
        for name, least in smallest.items():
            check_number(
                name,
                getattr(self, name),
                f"a whole number, {least} or more",
                lambda number, least=least: number >= least,
                whole=True,
                hint="leave it out for the default",
            )

    @property
    def processes(self) -> int:
        """Processes that are used: no more than there are chains."""
        cores = min(4, available_cores()) if self.cores is None else self.cores
        return min(cores, self.chains)
