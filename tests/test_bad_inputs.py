"""Bad inputs by the table: each is refused by an error of the package that says what to do.

A row is a name, a call, the class of its error, and what its message must say: what was got or
where, and what is allowed or can be tried. No row fits a model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte import cli
from bayes_hte.effects.summaries import interval
from bayes_hte.errors import (
    BayesHTEError,
    DataError,
    SavedResultError,
    SpecError,
    UnsupportedError,
)
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.fitting.sampling import SamplerSize
from bayes_hte.study.csv_file import read_csv_file
from bayes_hte.study.spec_file import parse_spec
from tests.study.test_spec import MINIMAL
from tests.study.test_study import build, good_frame, with_values

N = 40


@dataclass(frozen=True)
class Bad:
    """A bad input: its name, what is done with it, and what its error is and says."""

    name: str
    call: Callable[..., object]
    error: type[BayesHTEError]
    said: tuple[str, ...] = field(default=())


def data(name: str, *said: str, frame=None, error=DataError, **roles) -> Bad:
    """Return a bad frame, or bad roles of a good one."""
    return Bad(f"study: {name}", lambda: build(frame, **roles), error, said)


def plan(name: str, *said: str, error=SpecError, roles=None, frame=None, **options) -> Bad:
    """Return bad options of a fit, checked as a fit checks them before it samples."""

    def call() -> None:
        check_plan(build(frame, **(roles or {})), Plan(**options))

    return Bad(f"fit: {name}", call, error, said)


def size(name: str, *said: str, **options) -> Bad:
    return Bad(f"size: {name}", lambda: SamplerSize(**options), SpecError, said)


def spec(name: str, old: str, new: str, *said: str) -> Bad:
    """Return a line of a study file that is replaced by a bad one."""

    def call() -> None:
        assert MINIMAL.count(old) == 1
        parse_spec(MINIMAL.replace(old, new))

    return Bad(f"study file: {name}", call, SpecError, said)


def table(name: str, text: str | bytes, *said: str, **options) -> Bad:
    """Return the text of a bad CSV file."""

    def call(tmp_path: Path) -> None:
        path = tmp_path / "trial.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        read_csv_file(path, **options)

    return Bad(f"CSV: {name}", call, DataError, said)


def rows(name: str, change: Callable[[pd.DataFrame], object], *said: str, error=DataError) -> Bad:
    """Return bad new rows for a fit."""
    good = pd.DataFrame({"x1": [0.1, 0.2], "x2": [0.0, 1.0], "x3": ["a", "b"]})
    return Bad(f"new rows: {name}", lambda plain_fit: plain_fit.cate(change(good)), error, said)


def asked(name: str, call: Callable[[hte.Fit], object], *said: str, error=SpecError) -> Bad:
    """Return a bad question to a fit."""
    return Bad(f"fit: {name}", lambda plain_fit: call(plain_fit), error, said)


def line(name: str, *arguments: str, said: tuple[str, ...]) -> Bad:
    """Return a command line that must end with status 2 and one message, and no traceback."""

    def call(tmp_path: Path, monkeypatch, capsys) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "broken.toml").write_text("title = 'a\n", encoding="utf-8")
        (tmp_path / "study.toml").write_text(MINIMAL, encoding="utf-8")
        good_frame().to_csv(tmp_path / "data.csv", index=False)
        status, shown = cli.main([*arguments]), capsys.readouterr().err
        assert status == cli.REFUSED
        assert "Traceback" not in shown
        raise SpecError(shown)

    return Bad(f"command line: {name}", call, SpecError, said)


odd = good_frame()
BAD = [
    # ------------------------------------------------------------ frames and roles
    data("no frame", "DataFrame", "dict", frame={"score": [1]}),
    data("no rows", "empty", "0 rows", frame=odd.head(0)),
    data("unknown outcome", "'scores'", "Did you mean 'score'", outcome="scores"),
    data("unknown covariate", "'incme'", "Did you mean 'income'", covariates=["incme"]),
    data("no covariates", "non-empty list", "write", covariates=[]),
    data("covariates as text", "list", "['age']", covariates="age"),
    data("a name that is no text", "int", "text", covariates=[3]),
    data("two parts", "age would play two parts", "once", covariates=["age", "age"]),
    data("outcome as covariate", "score would play two parts", "different", covariates=["score"]),
    data("unknown reference", "'placebo'", "level", reference="placebo"),
    data("one arm", "two to 12 levels", "got 1", frame=odd.assign(treat=1)),
    data("too many arms", "two to 12 levels", "Keep", frame=odd.assign(treat=range(N))),
    data("few in an arm", "too few units", "True: 3", frame=odd.assign(treat=np.arange(N) < 3)),
    data("text outcome", "numeric", "Recode", outcome="region", covariates=["age"]),
    data("text mediator", "numeric", "Recode", mediator="region", covariates=["age"]),
    data("infinite", "infinite values in income (1)", frame=with_values("income", [3], np.inf)),
    data("constant", "constant column: age", frame=odd.assign(age=1.0)),
    data("missing arm", "missing values in treat", frame=with_values("treat", [3], np.nan)),
    data("doubled labels", "unique", "repeated", frame=odd.set_axis([0] * N)),
    data("doubled columns", "duplicate", frame=pd.concat([odd, odd[["age"]]], axis=1)),
    data("identifier", "40 levels", "Remove it", frame=odd.assign(region=[*map(str, range(N))])),
    data("dates", "dates", "days", frame=odd.assign(age=pd.date_range("2020", periods=N))),
    data("lists", "list", "numbers", frame=odd.assign(age=[[i] for i in range(N)])),
    data("complex", "type", "numbers", frame=odd.assign(age=odd["age"] * 1j)),
    data("numbers without end", "308 digits", "Rescale",
         frame=odd.assign(age=pd.Series([10**400, *range(N - 1)], odd.index, dtype=object))),
    data("levels that read alike", "int and str", "astype(str)",
         frame=odd.assign(region=pd.Series([1, "1"] * (N // 2), odd.index, dtype=object))),
    data("weights below 0", "weights", frame=odd.assign(w=-1.0), weights="w"),
    data("unknown rule for gaps", "'drop'", "splits", missing="drop", error=SpecError),
    data("cluster with gaps", "missing values in c", frame=odd.assign(c=[None, *"ab" * 19, "c"]),
         cluster="c"),
    data("event of numbers", "event", frame=odd.assign(e=np.arange(N)), event="e"),
    data("times below 0", "positive", frame=odd.assign(score=-1.0 * np.arange(N), e=1), event="e"),
    # ------------------------------------------------------------ options of a fit
    plan("learner", "'hierarchic'", "mean 'hierarchical'", learner="hierarchic"),
    plan("surface", "'forrest'", "mean 'forest'", surface="forrest"),
    plan("family", "'gausian'", "mean 'gaussian'", family="gausian"),
    plan("noise", "'by_arms'", "mean 'by_arm'", noise="by_arms"),
    plan("counts that are none", "17 negative", "correct", family="poisson", error=DataError),
    plan("two values that are none", "0 and 1", family="bernoulli", error=BayesHTEError),
    plan("processes of counts", "'gp'", "gaussian columns", surface="gp", family="poisson",
         error=UnsupportedError),
    plan("ends of a scale", "bounded", family="bounded(5, 1)", error=BayesHTEError),
    plan("values beyond the ends", "bounded", family="bounded(0, 1)", error=BayesHTEError),
    plan("levels of a number", "means_by", "levels", means_by="age", error=BayesHTEError),
    plan("levels of nothing", "'nowhere'", "Known", means_by="nowhere", error=BayesHTEError),
    plan("times of no event", "event", family="weibull", error=BayesHTEError),
    plan("horizon of no time", "horizon", horizon=3.0, error=BayesHTEError),
    plan("stacked surface", "'gpp'", stack_with=("gpp",), error=BayesHTEError),
    plan("steps of an S-learner", "ordered", learner="s", ordered=True, error=BayesHTEError),
    size("no draws", "draws", "1 or more", draws=0),
    size("no chains", "chains", "1 or more", chains=0),
    size("half a draw", "draws", "whole", draws=2.5),
    size("less than no tuning", "tune", "0 or more", tune=-1),
    size("a text", "chains", "whole", chains="4"),
    # ------------------------------------------------------------ study files
    spec("no TOML", 'title = "A trial"', "title = ", "TOML"),
    spec("unknown key", "seed = 1", "seed = 1\nchain = 4", "'chain'", "mean 'chains'"),
    spec("unknown table", "[about]", "[abuot]", "'abuot'", "mean 'about'"),
    spec("lacking seed", "seed = 1", "", "lacks seed", "add"),
    spec("lacking title", 'title = "A trial"', "", "lacks title", "add"),
    spec("seed as text", "seed = 1", "seed = '1'", "whole number", "got '1'"),
    spec("number as text", "difference = 2", "difference = '2'", "a number", "got '2'"),
    spec("text as number", 'outcome = "score"', "outcome = 1", "must be text", "got 1"),
    spec("list as text", '["age", "sex"]', '"age"', "must be a list"),
    spec("word outside a list", '"higher"', '"more"', "'more'", "Known: higher, lower"),
    spec("nearly a word", '"randomised"', '"randomized"', "mean 'randomised'"),
    spec("negative seed", "seed = 1", "seed = -1", "out of range", "sampler.seed"),
    spec("one chain", "seed = 1", "seed = 1\nchains = 1", "sampler.chains", "2 to 64"),
    spec("few draws", "seed = 1", "seed = 1\ndraws = 5", "sampler.draws", "at least 50"),
    spec("no number", "difference = 2", "difference = nan", "out of range"),
    spec("table as list", "[sampler]\nseed = 1", "[[sampler]]\nseed = 1", "must be a table"),
    spec("an interval of 95", "[sampler]", "[report]\nci_prob = 95\n[sampler]", "report.ci_prob"),
    spec("equal names of arms", '["age", "sex"]', '["age"]\narm_names = ["a", "a"]', "arm_names"),
    spec("order twice", "[sampler]", "[columns.age]\norder = [1, 1]\n[sampler]", "level twice"),
    spec("a label as number", "[sampler]", "[labels]\nage = 3\n[sampler]", "must be a table"),
    # ------------------------------------------------------------ CSV files
    table("empty", "", "the file is empty"),
    table("a header alone", "a,b\n", "a header and no rows"),
    table("columns twice", "a;b;a\n1;2;3\n", "several columns called 'a'"),
    table("a row too long", "a,b\n1,2\n4,5,6\n", "line 3: 3 cells", "the header has 2"),
    table("two decimal signs", "a;b\n1,5;2.5\n2,5;3.5\n", "declare decimal"),
    table("another encoding", "a,\u00f6\n1,2\n".encode("latin-1"), "utf-8", encoding="utf-8"),
    table("unknown encoding", "a,b\n1,2\n", "'klingon'", encoding="klingon"),
    Bad("CSV: no file", lambda tmp_path: read_csv_file(tmp_path / "no"), DataError, ("No such",)),
    # ------------------------------------------------------------ new rows
    rows("no frame", lambda f: f.to_dict(), "DataFrame", "dict"),
    rows("a number", lambda f: 3, "DataFrame", "int"),
    rows("without a covariate", lambda f: f.drop(columns="x2"), "lack x2", "every covariate"),
    rows("text for numbers", lambda f: f.assign(x1="b"), "numeric in the study", "to_numeric"),
    rows("a new level", lambda f: f.assign(x3="z"), "never saw: z", "Known: a, b, c"),
    rows("a gap", lambda f: f.assign(x1=np.nan), "2 missing or infinite", "none in the study"),
    rows("a missing level", lambda f: f.assign(x3=["a", None]), "1 missing", "none in the study"),
    rows("no end", lambda f: f.assign(x1=[1.0, np.inf]), "1 missing or infinite"),
    rows("dates", lambda f: f.assign(x1=pd.Timestamp("2020")), "dates", "to_numeric"),
    rows("a column twice", lambda f: pd.concat([f, f[["x1"]]], axis=1), "occurs 2 times", "rename"),
    # ------------------------------------------------------------ questions to a fit
    asked("an arm", lambda f: f.cate(contrast=("b", 0)), "'b'", error=BayesHTEError),
    asked("no batch", lambda f: f.cate(batch=0), "batch", "got 0", error=DataError),
    asked("half a contrast", lambda f: f.cate(contrast="1"), "contrast", error=BayesHTEError),
    asked("time of none", lambda f: f.cate(estimand="survival", at=1), "time", error=BayesHTEError),
    asked("a probability", lambda f: f.summary(ci_prob=95), "ci_prob"),
    asked("a kind", lambda f: interval(f.cate(), ci_kind="wide"), "'wide'", "eti"),
    asked("averages by nothing", lambda f: f.averages(by="nowhere"), "'nowhere'",
          error=BayesHTEError),
    asked("other data", lambda f: hte.load_fit("nowhere", f.study), "nowhere",
          error=SavedResultError),
    # ------------------------------------------------------------ the command line
    line("unknown study", "run", "jobs", said=("'jobs'", "mean 'jobs2'")),
    line("no study file", "check", "nothing.toml", said=("nothing.toml",)),
    line("no TOML", "check", "broken.toml", said=("TOML", "end of document")),
    line("no data", "check", "study.toml", said=("trial.csv",)),
    line("a change of nothing", "check", "study.toml", "--set", "draws", said=("--set takes",)),
    line("an unknown change", "check", "study.toml", "--set", "sampler.drawz=1", said=("'draws'",)),
    line("no run", "report", ".", said=("no finished run",)),
    line("predict without a run", "predict", ".", "data.csv", said=("no finished run",)),
    line("new of no file", "new", "no.csv", "--outcome", "y", "--treatment", "t", said=("no.csv",)),
    line("new without its outcome", "new", "data.csv", "--outcome", "scor", "--treatment", "treat",
         said=("'score'",)),
]  # fmt: skip


def test_the_table_is_long_and_its_names_are_its_own():
    assert len(BAD) >= 80
    assert len({bad.name for bad in BAD}) == len(BAD)


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_a_bad_input_is_refused_with_its_message(bad, request):
    wanted = inspect.signature(bad.call).parameters
    with pytest.raises(bad.error) as refused:
        bad.call(**{name: request.getfixturevalue(name) for name in wanted})
    message = str(refused.value)
    assert bad.said
    for said in bad.said:
        assert said in message
    # A sentence, not a dump.
    assert 15 < len(message) < 900
    assert message.rstrip()[-1] in ".!"
