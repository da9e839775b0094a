"""What ``/metrics`` says, read in one way; that its form is Prometheus's is tested elsewhere."""

from collections.abc import Mapping

LAW = ("received", "stored", "duplicate", "rejected", "buffered")


def parse_metrics(text: str) -> dict[str, float]:
    """The samples by their names, with labels as in ``playsmart_errors_total{code=a,door=b}``."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
    return {name.replace('"', ""): float(value) for name, _, value in lines}


def totals(samples: Mapping[str, float], prefix: str = "playsmart_") -> dict[str, float]:
    """Those that begin so, by the rest of their names; what has labels is summed up."""
    summed: dict[str, float] = {}
    for name, value in samples.items():
        if name.startswith(prefix):
            name = name.removeprefix(prefix).partition("{")[0]
            summed[name] = summed.get(name, 0.0) + value
    return summed


def law(samples: Mapping[str, float]) -> dict[str, int]:
    """The terms of received = stored + duplicate + rejected + buffered, which has to hold."""
    found = totals(samples)
    names = [f"events_{term}_total" for term in LAW[:-1]] + ["buffered_events"]
    terms = {term: int(found.get(name, 0)) for term, name in zip(LAW, names, strict=True)}
    assert terms["received"] == sum(terms.values()) - terms["received"], f"the law: {terms}"
    return terms
