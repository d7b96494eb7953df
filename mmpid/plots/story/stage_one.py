"""Situations of stage 1: nothing measured yet, too early, a pause, a lead, no leader."""

import math
from typing import cast

from mmpid.pid.names import unique_key
from mmpid.plots.reading import known_by, read_atom, value_of
from mmpid.plots.story import wording as wd
from mmpid.plots.story.view import Headline, View
from mmpid.runs.probe import Atom


def no_probe(view: View) -> Headline | None:
    """Say that nothing was measured yet."""
    if view.probes:
        return None
    words = wd.about(view, "Which encoder will lead, {0} or {1}?", 0, 1)
    if len(view.names) != 2:
        words = ((f"Which of the {wd.count(len(view.names))} encoders will lead?", ""),)
    after = "each epoch" if view.probe_every == 1 else f"every {view.probe_every} epochs"
    evidence = f"After {after} a probe measures what each one knows."
    return Headline(
        situation="empty", words=words, evidence=evidence, next="press Play." if not view.path else "a probe."
    )


def early(view: View) -> Headline | None:
    """Say that there are too few probes, or no interval, to compare encoders."""
    k, n = len([row for row in view.probes if row["epoch"] == int(row["epoch"])]), view.needed
    unique = view.unique()
    known = [reading for reading in unique if reading is not None]
    no_interval = any(reading.low is None for reading in known)
    if view.stage != "unimodal" or (k >= n and not no_interval) or len(known) < len(unique):
        return None
    parts = ", ".join(
        f"{name} alone {wd.bits(value_of(r))}" for name, r in zip(wd.shown(view.names[:2]), known, strict=False)
    )
    if k >= n:
        evidence, then = f"No interval was measured; {parts} bits.", "set n_boot: noise is unknown."
    else:
        evidence = f"{k} of {n} probes; {parts} bits."
        then = f"a comparison at epoch {math.floor(view.probe['epoch']) + (n - k) * view.probe_every}."
    return Headline(
        situation="early", words=(("Too early to say who leads.", ""),), sure="early", evidence=evidence, next=then
    )


def unreadable(view: View) -> Headline | None:
    """Say that an atom of the latest probe is not a number."""
    names = {
        "redundancy": "what several know",
        **{unique_key(i): f"{n} alone" for i, n in enumerate(wd.shown(view.names), start=1)},
    }
    bad = [words for atom, words in names.items() if read_atom(view.probe, atom) is None]
    if not bad:
        return None
    epoch = math.floor(view.probe["epoch"]) + view.probe_every
    return Headline(
        situation="unreadable",
        words=(("This probe could not be read.", ""),),
        sure="early",
        evidence=f"{wd.capital(bad[0])} is not a number.",
        next=f"the probe at epoch {epoch}; nothing is decided on this one.",
    )


def nothing(view: View) -> Headline | None:
    """Say that no encoder provably knows anything or, for counted estimates, knows more than shuffled labels give."""
    measured, held_out = read_atom(view.probe, "redundancy"), view.held_out
    if view.stage != "unimodal" or measured is None or not (held_out or measured.null_high is not None):
        return None
    if not view.knows_nothing(view.probe):
        return None
    streak = 0
    for probe in reversed(view.probes):
        if not view.knows_nothing(probe):
            break
        streak += 1
    patience = view.give_up_after
    left = None if patience is None else max(patience - streak, 0)
    then = "you decide." if not view.auto else "stage 1 goes on."
    if view.auto and left:
        then = f"{left} more such probe{'s' * (left > 1)} start{'s' * (left == 1)} joint training from scratch."
    return Headline(
        situation="nothing",
        words=(("Nobody alone knows the label yet.", ""),),
        sure="noise",
        evidence="None of it is proven." if held_out else "All is within what shuffled labels give.",
        next=then,
    )


def paused(view: View) -> Headline | None:
    """Say which modality is paused, and whether its lead is still beyond the noise."""
    who = view.paused()
    if view.stage != "unimodal" or not who:
        return None
    unique = [reading for reading in view.unique() if reading is not None]
    i = view.names.index(who[0])
    others = [j for j, name in enumerate(view.names) if name not in who]
    if not others or len(unique) < len(view.names):
        return None
    j = min(others, key=lambda k: value_of(unique[k]))
    if view.by_user("pause"):
        then = f"resume {wd.shown(view.names)[i]} when you like."
    else:
        pauses = [row for row in view.path if row.get("action") == "pause" and row["modality"] == who[0]]
        since = pauses[-1]["epoch"] if pauses else view.probe["epoch"]
        end = since + view.max_pause * view.probe_every if view.max_pause else None
        by = "once its lead is small" if end is None else f"by epoch {end:g}"
        then = f"{wd.shown(view.names)[i]} resumes {by}."
    clear = wd.leads(unique[i], unique[j])
    template = (
        "{0} runs ahead; it is paused so that {1} catches up."
        if clear
        else "{0} is paused; its lead is within noise now."
    )
    return Headline(
        situation="paused",
        words=wd.about(view, template, i, *((j,) if clear else ())),
        sure="clear" if clear else "noise",
        evidence=wd.apart(view, unique, i, j),
        next=then,
    )


def many(view: View) -> Headline | None:
    """Rank three or more encoders if none has clearly more unique information."""
    unique = [reading for reading in view.unique() if reading is not None]
    if len(view.names) < 3 or len(unique) < len(view.names):
        return None
    order = sorted(range(len(view.names)), key=lambda i: value_of(unique[i]))
    if wd.leads(unique[order[-1]], unique[order[0]]):
        return None
    noise = max(reading.half_width for reading in unique)
    found = [known_by(view.probe, i, name) for i, name in enumerate(view.names)]
    whole = [reading for reading in found if reading is not None]
    if len(whole) < len(found):
        return None
    ranked = sorted(range(len(view.names)), key=lambda i: value_of(whole[i]))
    least, most = ranked[0], ranked[-1]
    clear = value_of(whole[most]) - value_of(whole[least]) > math.hypot(whole[most].half_width, whole[least].half_width)
    names = wd.shown(view.names)
    n = wd.count(len(view.names))
    words = wd.about(view, f"All {n} know mostly the same; {{0}} knows least.", least)
    if not clear:
        words = ((f"No clear leader among the {n} encoders.", ""),)
    a, b = wd.bits(value_of(whole[least])), wd.bits(value_of(whole[most]))
    evidence = (
        f"{wd.capital(names[least])} knows {a} bits, {names[most]} {b}; nobody adds more than noise, ±{wd.bits(noise)}."
    )
    return Headline(
        situation="many", words=words, sure="clear" if clear else "noise", evidence=evidence, next=wd.what_is_next(view)
    )


def lead(view: View) -> Headline:
    """Say which modality leads, or that no modality does."""
    unique = cast(list[Atom], view.unique())  # `unreadable` has handled the case of None
    order = sorted(range(len(view.names)), key=lambda i: value_of(unique[i]))
    low, high = order[0], order[-1]
    evidence = wd.apart(view, unique, high, low)
    if not wd.leads(unique[high], unique[low]):
        evidence = wd.apart(view, unique, high, low, times=False)
        template = "No clear leader: {0} and {1} are within noise."
        words = wd.about(view, template, high, low)
        return Headline(situation="no leader", words=words, sure="noise", evidence=evidence, next=wd.what_is_next(view))
    limit = view.ratio
    starves = wd.ratio(view, unique[high], unique[low]) > limit
    name = wd.shown(view.names)[high]
    manual = f"your turn: pause {name}, or go on."
    then = manual if not view.auto else f"a pause of {name}." if starves else f"a pause above {limit:g} to 1."
    if view.doubtful(unique, high):
        words = wd.about(view, "{0} seems to lead, {1} to lag behind.", high, low)
        return Headline(situation="doubtful", words=words, sure="doubtful", evidence=evidence, next=then)
    template = "{0} leads, {1} may starve." if starves else "{0} leads, {1} lags behind."
    words = wd.about(view, template, high, low)
    return Headline(situation="starves" if starves else "lead", words=words, sure="clear", evidence=evidence, next=then)
