"""A segment in words: what HR reads before sending, and what a report is headed with."""

from collections.abc import Iterable, Iterator

from content.lint import FINISHED, UNFINISHED
from content.schema import Content, Lang, Segment


def describe(segment: Segment, lang: Lang, content: Content) -> str:
    """The name of a segment: its filters, one after the other; without any, everybody."""
    labels = content.copy_[lang]
    parts = [
        labels["segment_" + key].format(what=what) for key, what in _parts(segment, content, lang)
    ]
    return labels["segment_and"].join(parts) if parts else labels["segment_everybody"]


def _parts(segment: Segment, content: Content, lang: Lang) -> Iterator[tuple[str, object]]:
    """Which filters are set, by the key of their sentence."""
    labels = content.copy_[lang]

    def either(names: Iterable[str]) -> str:
        return labels["segment_or"].join(names)

    if segment.groups:
        yield "groups", either(content.group(group).name.of(lang) for group in segment.groups)
    if segment.steps:
        steps = {step.id: step.name.of(lang) for step in content.method.steps}
        steps |= {step: labels["segment_" + step] for step in (FINISHED, UNFINISHED)}
        yield "steps", either(steps[step] for step in segment.steps)
    if segment.bands:
        named = (
            f"{content.area(one.area).name.of(lang)} ({labels['band_' + one.band]})"
            for one in segment.bands
        )
        yield "bands", either(named)
    if segment.active_within is not None:
        yield "active", segment.active_within
    if segment.inactive_for is not None:
        yield "inactive", segment.inactive_for
    if segment.units:
        yield "units", either(segment.units)
    if segment.channels:
        yield "channels", either(labels["segment_channel_" + name] for name in segment.channels)
    if segment.languages:
        yield "languages", either(labels["segment_language_" + name] for name in segment.languages)
