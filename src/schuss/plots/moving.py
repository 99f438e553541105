"""Pictures of paths that move: a GIF, or a page of HTML that needs nothing else."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import file_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pictures import Picture


def _shown_steps(picture: Picture, frames: int) -> list[int]:
    """After which step each frame is, from the start to the end of the longest path."""
    last = max(len(way.points) - 1 for way in picture.ways)
    return [int(step) for step in np.unique(np.linspace(0, max(last, 1), min(frames, last + 1) or 1).round())]


def _moments(picture: Picture) -> NDArray[np.int64]:
    """Steps between which a page may choose: all, or as many as keep it small."""
    last = max(0, *(len(way.points) - 1 for way in picture.ways))
    return np.unique(np.linspace(0, last, min(last + 1, 1001)).round()).astype(np.int64)


def _opaque(picture: Picture) -> None:
    """A ground where the style has none: films are not seen through."""
    from matplotlib.colors import to_rgb, to_rgba

    if to_rgba(picture.figure.get_facecolor())[3] < 1:
        ink = to_rgb(picture.axes.xaxis.label.get_color())
        picture.figure.set_facecolor("black" if sum(ink) > 1.5 else "white")


def write_gif(picture: Picture, path: Any, frames: int, seconds: float) -> None:
    """The picture with its paths as they grow. What stays is drawn once."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("a GIF needs Pillow: pip install pillow") from None
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    _opaque(picture)
    figure, axes = picture.figure, picture.axes
    before = figure.dpi, figure.canvas
    figure.dpi = 90
    canvas: Any = FigureCanvasAgg(figure)
    counter = axes.text(0.01, 0.015, "", transform=axes.transAxes, fontsize=9, zorder=6)
    moving = [artist for way in picture.ways for artist in (way.line, way.end)]
    try:
        for artist in (*moving, counter):
            artist.set_visible(False)
        canvas.draw()
        ground = canvas.copy_from_bbox(figure.bbox)
        for artist in (*moving, counter):
            artist.set_visible(True)
        images = []
        steps = _shown_steps(picture, frames)
        for step in steps:
            canvas.restore_region(ground)
            for way in picture.ways:
                seen = way.points[: step + 1]
                way.line.set_data(*seen.T)
                way.end.set_data(*seen[-1:].T)
                axes.draw_artist(way.line)
                axes.draw_artist(way.end)
            counter.set_text(f"step {step}")
            axes.draw_artist(counter)
            images.append(Image.fromarray(np.array(canvas.buffer_rgba())[..., :3]))
    finally:
        counter.remove()
        figure.dpi = before[0]
        figure.set_canvas(before[1])
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette(images[-1], picture))
    indexed = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    durations = [max(20, round(1000 * seconds / len(steps)))] * len(steps)
    durations[-1] += 1500
    indexed[0].save(
        file_path("path", path), save_all=True, append_images=indexed[1:], duration=durations, loop=0, optimize=True
    )


def _palette(image: Any, picture: Picture) -> list[int]:
    """One for all pictures: what is most of one, and the colours of lines, which are little of it, with their rims."""
    from matplotlib.colors import to_rgb

    ground = np.array(to_rgb(picture.figure.get_facecolor()))
    colors = [ground, np.array(to_rgb(picture.axes.xaxis.label.get_color()))]
    # There is room for the rims of so many colours.
    for line in list(dict.fromkeys(way.line.get_color() for way in picture.ways))[:39]:
        colors += [share * np.array(to_rgb(line)) + (1 - share) * ground for share in (1.0, 0.75, 0.5, 0.25)]
    parts = (255 * np.concatenate(colors)).round().astype(int)
    return [*image.quantize(96).getpalette()[: 3 * 96], *parts.tolist()]


def write_html(picture: Picture, path: Any, frames: int, seconds: float) -> None:
    """A page with the picture, over which lines grow as a slider says. No other file and no network is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_hex

    _opaque(picture)
    figure, axes = picture.figure, picture.axes
    legends, before, size = list(figure.legends), figure.canvas, figure.get_size_inches()
    hidden = [artist for way in picture.ways for artist in (way.line, way.end)]
    image = io.BytesIO()
    try:
        figure.set_size_inches(5.6, 4.4)  # on a phone text is then still large enough
        figure.legends.clear()  # the page has its own; one that is only hidden keeps its room
        for artist in hidden:
            artist.set_visible(False)
        FigureCanvasAgg(figure)
        figure.savefig(image, format="png", dpi=190)
        scale = 100 / figure.dpi
        width, height = (100 * side for side in figure.get_size_inches())
        box = axes.get_window_extent()
        ways = []
        moments = _moments(picture)
        for way in picture.ways:
            last = len(way.points) - 1
            kept = np.unique([*moments[moments <= last], *([last] if last >= 0 else [])]).astype(int)
            places = axes.transData.transform(way.points[kept]) * scale if last >= 0 else np.empty((0, 2))
            ways.append(
                {
                    "at": [round(float(v), 1) for x, y in places for v in (x, height - y)],
                    "f": [f"{loss:.3g}" for loss in way.trace.losses[kept]],
                    "color": to_hex(way.line.get_color()),
                    "label": way.label.partition("\n")[0],
                    "end": ", ".join(way.label.split("\n")[1:]),
                    "dash": way.line.get_linestyle() != "-",
                }
            )
        frame = [float(v) * scale for v in (box.x0, figure.bbox.height - box.y1, box.width, box.height)]
    finally:
        for artist in hidden:
            artist.set_visible(True)
        figure.legends.extend(legends)
        figure.set_size_inches(size)
        figure.set_canvas(before)
    words = {
        "TITLE": html.escape(axes.get_title()),
        "MARKS": "\u25a1 start" + (" &nbsp; \u2605 known minimum" if picture.minima else ""),
        "GROUND": to_hex(figure.get_facecolor()),
        "INK": to_hex(axes.xaxis.label.get_color()),
        "WIDTH": f"{width:g}",
        "HEIGHT": f"{height:g}",
        "LAST": str(len(moments) - 1),
        "IMAGE": base64.b64encode(image.getvalue()).decode("ascii"),
        # No text of a label may end the script.
        "DATA": json.dumps(
            {"ways": ways, "steps": moments.tolist(), "seconds": seconds, "frames": frames, "frame": frame}
        ).replace("<", "\\u003c"),
    }
    with open(file_path("path", path), "w", encoding="utf-8") as file:
        file.write(re.sub("@([A-Z]+)@", lambda found: words[found[1]], _PAGE))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@TITLE@</title>
<style>
body { margin: 0 auto; max-width: 60rem; padding: 0.5rem; background: @GROUND@; color: @INK@;
  font: 1rem/1.4 system-ui, sans-serif; }
svg { display: block; width: 100%; height: auto; }
.bar { display: flex; gap: 0.75rem; align-items: center; margin: 0.5rem 0; }
.bar input { flex: 1; min-width: 0; accent-color: currentColor; }
button { font: inherit; min-width: 5rem; padding: 0.3rem 0.8rem; color: inherit; background: none;
  border: 1px solid currentColor; border-radius: 0.3rem; }
output { min-width: 6rem; text-align: right; font-variant-numeric: tabular-nums; }
ul { list-style: none; margin: 0.5rem 0; padding: 0; display: grid; gap: 0.3rem 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
li { display: grid; grid-template-columns: 1.6rem 1fr; column-gap: 0.5rem; align-items: center;
  align-content: start; }
li i { height: 0; border-top: 0.25rem solid; }
li b { grid-column: 2; font-weight: normal; font-size: 0.875rem; min-height: 1.25rem; }
</style>
</head>
<body>
<svg viewBox="0 0 @WIDTH@ @HEIGHT@" role="img" aria-label="@TITLE@">
<clipPath id="frame"><rect></rect></clipPath>
<image width="@WIDTH@" height="@HEIGHT@" href="data:image/png;base64,@IMAGE@"></image>
<g id="ways" clip-path="url(#frame)" fill="none" stroke-width="2.4" stroke-linejoin="round"></g>
</svg>
<div class="bar">
<button id="play" type="button">Play</button>
<input id="step" type="range" min="0" max="@LAST@" value="@LAST@" aria-label="step">
<output id="count"></output>
</div>
<ul id="legend"></ul>
<p>@MARKS@</p>
<script>
"use strict";
const data = @DATA@;
const get = (id) => document.getElementById(id);
const svg = get("ways").namespaceURI;
const add = (name, parent, settings) => {
  const made = document.createElementNS(svg, name);
  for (const key in settings) made.setAttribute(key, settings[key]);
  parent.appendChild(made);
  return made;
};
["x", "y", "width", "height"].forEach((name, k) =>
  document.querySelector("#frame rect").setAttribute(name, data.frame[k]));
for (const way of data.ways) {
  const look = { stroke: way.color, "stroke-dasharray": way.dash ? "8 4" : "none" };
  way.rim = add("polyline", get("ways"), { stroke: "@GROUND@", "stroke-width": 4.4 });
  way.line = add("polyline", get("ways"), look);
  way.head = add("circle", get("ways"), { r: 5, fill: way.color, stroke: "@GROUND@", "stroke-width": 1.5 });
  const row = document.createElement("li");
  const swatch = document.createElement("i");
  swatch.style.borderTopColor = way.color;
  swatch.style.borderTopStyle = way.dash ? "dashed" : "solid";
  const name = document.createElement("span");
  name.textContent = way.label;
  way.value = document.createElement("b");
  row.append(swatch, name, way.value);
  get("legend").appendChild(row);
}
const end = data.steps.length - 1;
const show = (k) => {
  for (const way of data.ways) {
    const last = Math.min(k, way.at.length / 2 - 1);
    const points = way.at.slice(0, 2 * last + 2).join(" ");
    way.line.setAttribute("points", points);
    way.rim.setAttribute("points", points);
    way.head.setAttribute("visibility", last < 0 ? "hidden" : "visible");
    if (last >= 0) {
      way.head.setAttribute("cx", way.at[2 * last]);
      way.head.setAttribute("cy", way.at[2 * last + 1]);
    }
    way.value.textContent = k > last || k === end ? way.end : `now ${way.f[last]}`;
  }
  get("step").value = k;
  get("count").textContent = `step ${data.steps[k]}`;
};
let timer = null;
const stop = () => { clearInterval(timer); timer = null; get("play").textContent = "Play"; };
const play = () => {
  const stride = Math.max(1, Math.ceil((end + 1) / data.frames));
  let k = Number(get("step").value);
  if (k >= end) k = 0;
  get("play").textContent = "Pause";
  show(k);
  timer = setInterval(() => {
    k = Math.min(k + stride, end);
    show(k);
    if (k === end) stop();
  }, 1000 * data.seconds * stride / (end + 1));
};
get("play").onclick = () => (timer === null ? play() : stop());
get("step").oninput = () => { stop(); show(Number(get("step").value)); };
show(end);
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
</script>
</body>
</html>
"""
