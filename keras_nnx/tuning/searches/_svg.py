"""Drawings: elements that escape what they hold, words in lines, and a frame with two axes."""

from __future__ import annotations

import dataclasses
import re
from typing import Any
from xml.etree import ElementTree

from keras_nnx.tuning.searches._axes import Axis

Element = ElementTree.Element
_NO_TEXT = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460.0, 340.0, 52.0, 14.0, 30.0, 44.0


def drawing(width: float, height: float, label: str, top: float = 0.0, **attributes: Any) -> Element:
    """Return an empty drawing that begins at `top`; it names no namespace, as within a page it needs none."""
    return element("svg", role="img", viewBox=f"0 {top:.0f} {width:.0f} {height:.0f}", aria_label=label, **attributes)


def element(tag: str, text: str = "", **attributes: Any) -> Element:
    """Return an element.

    Args:
        tag: Its name.
        text: What it holds.
        **attributes: `_` stands for `-`, except at the end; numbers are rounded.
    """
    found = Element(tag, {name.rstrip("_").replace("_", "-"): _written(value) for name, value in attributes.items()})
    found.text = clean(text)
    return found


def add(parent: Element, tag: str, text: str = "", **attributes: Any) -> Element:
    """Return a new element at the end of `parent`; see `element`."""
    found = element(tag, text, **attributes)
    parent.append(found)
    return found


def write(root: Element) -> str:
    """Return the text of a drawing."""
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)


def clean(text: str) -> str:
    """Return `text` without the characters that no page can hold."""
    return _NO_TEXT.sub("\ufffd", text)


def in_lines(name: str, width: int = 12, most: int = 5) -> list[str]:
    """Return a name in lines, broken after `/`, `_` and spaces.

    Args:
        name: Such as `"training/learning_rate"`.
        width: Characters a line; a longer part loses its end.
        most: Lines; the last ends in an ellipsis if there would be more.
    """
    lines = [""]
    for part in re.findall(r"[^/_ ]*[/_ ]?", name):
        if lines[-1].endswith("/") or len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    found = [cut(line.strip(), width) for line in lines if line.strip()]
    return found if len(found) <= most else [*found[: most - 1], cut(found[most - 1] + " " * width, width)]


def cut(text: str, width: int) -> str:
    """Return `text`, or its beginning and an ellipsis."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "\u2026"


@dataclasses.dataclass
class Frame:
    """A drawing with two axes.

    Args:
        x: The axis to the right.
        y: The axis up.
        x_name: Written below.
        y_name: Written above.
        label: What it is, for those who do not see it.
    """

    x: Axis
    y: Axis
    x_name: str
    y_name: str
    label: str

    def __post_init__(self) -> None:
        self.root = drawing(_WIDTH, _HEIGHT, self.label, class_="plot")
        for share, text in self.x.ticks:
            x = _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
            add(self.root, "line", class_="grid", x1=x, x2=x, y1=_TOP, y2=_HEIGHT - _BOTTOM)
            add(self.root, "text", cut(text, 9), x=x, y=_HEIGHT - _BOTTOM + 16, text_anchor="middle")
        for share, text in self.y.ticks:
            y = _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)
            add(self.root, "line", class_="grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y)
            add(self.root, "text", cut(text, 9), x=_LEFT - 6, y=y + 4, text_anchor="end")
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        add(self.root, "text", cut(self.x_name, 54), class_="name", x=middle, y=_HEIGHT - 8, text_anchor="middle")
        add(self.root, "text", cut(self.y_name, 54), class_="name", x=4, y=16)

    def place(self, x: Any, y: Any) -> tuple[float, float] | None:
        """Return the point of two values; None if one of them is nowhere."""
        right, up = self.x.position(x), self.y.position(y)
        if right is None or up is None:
            return None
        return _LEFT + right * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def bound(self, value: float, upright: bool, text: str) -> bool:
        """Draw a dashed line at a value of an axis and return True, if the value is on it."""
        axis = self.x if upright else self.y
        share = axis.position(value)
        if share is None or not axis.holds(value):
            return False
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        x, y = _LEFT + share * (right - _LEFT), bottom - share * (bottom - _TOP)
        (x1, y1), (x2, y2) = ((x, _TOP), (x, bottom)) if upright else ((_LEFT, y), (right, y))
        add(add(self.root, "line", class_="bound", x1=x1, y1=y1, x2=x2, y2=y2), "title", text)
        if upright:
            side = "end" if share > 0.5 else "start"
            add(
                self.root, "text", text, class_="bad", x=x - 4 if share > 0.5 else x + 4, y=bottom - 6, text_anchor=side
            )
        else:
            add(self.root, "text", text, class_="bad", x=right - 4, y=y - 5, text_anchor="end")
        return True


def path(points: list[tuple[float, float] | None]) -> str:
    """Return straight lines from point to point, with a gap at each None."""
    commands, pen = [], "M"
    for point in points:
        if point is not None:
            commands.append(f"{pen}{point[0]:.1f},{point[1]:.1f}")
        pen = "M" if point is None else "L"
    return "".join(commands)


def _written(value: Any) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else clean(str(value))
