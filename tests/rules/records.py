"""Records made by hand, on which rules, policies and controllers are asked."""

from mmpid import RunRecord

METADATA = {"modalities": ["audio", "image"], "settings": {"unimodal_epochs": 99}}


def record(*, width=0.02, metadata=METADATA, paused=(), **atoms) -> RunRecord:
    """Make a record with one probe an epoch; each atom is given as a list, with the same interval half-width."""
    made = RunRecord(metadata)
    n = max(len(values) for values in atoms.values())
    for epoch in range(n):
        row = {name: 0.0 for name in ("redundancy", "unique1", "unique2", "synergy")}
        row |= {name: values[epoch] for name, values in atoms.items()}
        row |= {f"{name}_low": row[name] - width for name in list(row)} | {
            f"{name}_high": row[name] + width for name in list(row)
        }
        row |= {f"active.{m}": m not in paused for m in metadata["modalities"]}
        made.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, synergy_identified=True, **row)
    return made


def later(made: RunRecord, **changed) -> dict:
    """Return the fields of the latest probe as another one."""
    probe = [row for row in made.rows if row["kind"] == "probe"][-1]
    return {key: x for key, x in probe.items() if key != "kind"} | changed


def actions(decisions):
    return [(d.action, d.modality) for d in decisions]


def with_nan(values: list[float], **more) -> RunRecord:
    made = RunRecord(METADATA)
    for epoch, value in enumerate(values):
        atoms = {"redundancy": value, "synergy": value, "unique1": value, "unique2": 0.01}
        made.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, **(atoms | more))
    return made
