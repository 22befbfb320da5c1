// One recording on one timeline: waveform, probabilities, emotions, and a table of them.
//
//   const viewer = new Viewer(element, data, { colours, editable: true, onchange: (segments) => … })
//
// `data` is what sed.report.page describes. Everything that is drawn stands in the table too, so
// nothing needs a mouse or an eye for colours.

"use strict";

const ROW = 30; // height of a row of segments in pixels
const AREA = 90; // and of the probabilities
const MISSING = 255; // a probability where nobody speaks
const PAGE = 200; // rows of the table at a time
const HOLD = 6; // pixels around an edge that can be dragged

const KEYS = [
  ["Space", "play or pause"],
  ["← →", "five seconds back or on"],
  ["N, P", "next or previous segment"],
  ["+ −", "zoom in or out"],
  ["0", "the whole recording"],
];
const EDIT_KEYS = [["Ctrl Z", "take the last change back"], ["Delete", "remove the segment"]];

/** Element with attributes and children. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Seconds as 1:02:03.4. */
function clock(seconds, digits = 1) {
  const scale = 10 ** digits;
  const units = Math.round(Math.max(0, seconds) * scale);
  const rest = (units % (60 * scale)) / scale;
  const minutes = Math.floor(units / (60 * scale));
  const hours = Math.floor(minutes / 60);
  const pad = (value, size) => value.padStart(size, "0");
  const end = pad(rest.toFixed(digits), digits ? 3 + digits : 2);
  return hours ? `${hours}:${pad(String(minutes % 60), 2)}:${end}` : `${minutes}:${end}`;
}

/** Seconds that were written as 62, 1:02 or 0:01:02.5; NaN if they were not. */
function seconds(text) {
  const parts = text.trim().split(":");
  if (parts.length > 3 || parts.some((part) => !/^\d+(\.\d*)?$/.test(part))) return NaN;
  return parts.reduce((sum, part) => 60 * sum + Number(part), 0);
}

/** Bytes that may still be written in base 64. */
function bytes(given) {
  if (typeof given !== "string") return given;
  return Uint8Array.from(atob(given), (letter) => letter.charCodeAt(0));
}

/** Black or white, whichever can be read on a colour. */
function inkOn(colour) {
  const linear = [1, 3, 5].map((at) => (parseInt(colour.slice(at, at + 2), 16) / 255) ** 2.2);
  const light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return light > 0.18 ? "#000" : "#fff";
}

class Viewer {
  constructor(element, data, options = {}) {
    this.data = data;
    this.colours = options.colours || {};
    this.editable = Boolean(options.editable);
    this.onchange = options.onchange || (() => {});
    this.tracks = data.tracks.map((track) => ({
      ...track,
      segments: track.segments.map(([start, end, label, confidence]) => ({
        start, end, label, confidence: confidence ?? null,
      })),
    }));
    this.now = 0;
    this.undone = [];
    this.chosen = null;
    this.shown = PAGE;
    this.scores = data.posteriors ? bytes(data.posteriors.values) : null;
    this.element = element;
    this.build();
    this.wave = this.makeWave();
    this.observer = new ResizeObserver(() => this.paint());
    this.observer.observe(this.lanes);
    this.fillTable();
    this.paint();
  }

  destroy() {
    this.observer.disconnect();
    this.wave.destroy();
    this.element.replaceChildren();
  }

  get main() {
    return this.tracks[0];
  }

  // ------------------------------------------------------------------------------- building

  build() {
    const { data } = this;
    const title = data.channel > 1 || data.channels > 1
      ? `${data.uri}, channel ${data.channel}` : data.uri;
    this.audio = make("audio", { preload: "metadata" });
    if (data.audio) this.audio.src = data.audio;
    this.playButton = make("button", { type: "button", class: "play", onclick: () => this.toggle() }, "Play");
    this.time = make("output", { class: "time" }, clock(0));
    this.zoomer = make("input", {
      type: "range", min: 0, max: 100, value: 0, "aria-label": "Zoom", class: "zoom",
      oninput: () => this.zoom(Number(this.zoomer.value) / 100),
    });
    const rate = make("select", {
      "aria-label": "Speed", onchange: () => { this.audio.playbackRate = Number(rate.value); },
    });
    for (const factor of [0.5, 0.75, 1, 1.25, 1.5, 2])
      rate.append(make("option", { value: factor, selected: factor === 1 }, `${factor} ×`));
    this.note = make("p", { class: "note", role: "status" });
    const picker = make("label", { class: "picker", hidden: true }, "Audio file: ", make("input", {
      type: "file", accept: "audio/*,video/*",
      onchange: (event) => this.openAudio(event.target.files[0]),
    }));
    this.picker = picker;
    this.audio.addEventListener("error", () => this.withoutAudio());
    if (!data.audio) this.withoutAudio();

    const toolbar = make("div", { class: "toolbar", role: "toolbar", "aria-label": "Player" },
      this.playButton, this.time, make("span", { class: "of" }, `of ${clock(data.duration)}`),
      rate, make("label", { class: "zoomer" }, "Zoom ", this.zoomer), picker);

    this.waveform = make("div", { class: "waveform", role: "img", "aria-label": `Waveform of ${title}` });
    this.cursor = make("div", { class: "cursor", "aria-hidden": "true" });
    this.lanes = make("div", { class: "lanes" });
    this.canvases = [];
    if (this.scores) this.addLane("Probabilities", AREA, (context, width) => this.paintScores(context, width));
    for (const track of this.tracks)
      this.addLane(track.name, ROW, (context, width) => this.paintTrack(context, width, track), track);
    this.lanes.append(this.cursor);

    this.shares = make("div", { class: "shares" });
    this.tableBody = make("tbody");
    this.more = make("button", { type: "button", class: "more", onclick: () => {
      this.shown += PAGE;
      this.fillTable();
    } });
    const columns = ["Start", "End", "Duration", "Emotion", "Confidence"];
    if (this.editable) columns.push("Change");
    const table = make("table", {},
      make("caption", {}, this.main.name === "Emotions" ? "Emotion segments" : this.main.name),
      make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, name)))),
      this.tableBody);
    const keys = make("details", { class: "keys" }, make("summary", {}, "Keys"), make("dl", {},
      ...[...KEYS, ...(this.editable ? EDIT_KEYS : [])].flatMap(([key, what]) =>
        [make("dt", {}, key), make("dd", {}, what)])));
    const editor = this.editable ? [this.makeEditor()] : [];
    this.element.replaceChildren(make("h2", {}, title), this.audio, toolbar, this.note,
      this.waveform, this.lanes, this.makeLegend(), ...editor, this.shares,
      make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Segments" }, table, this.more),
      keys);
    this.element.tabIndex = -1;
    this.element.onkeydown = (event) => this.press(event);
  }

  addLane(name, height, paint, track = null) {
    const canvas = make("canvas", { role: "img", "aria-label": `${name} over time; the table below says the same` });
    canvas.style.height = `${height}px`;
    canvas.addEventListener("pointerdown", (event) => this.grab(event, canvas, track));
    if (this.editable && track === this.main)
      canvas.addEventListener("pointermove", (event) => {
        const edge = this.edgeAt(this.timeAt(event, canvas));
        canvas.style.cursor = edge ? "ew-resize" : "pointer";
      });
    this.canvases.push({ canvas, height, paint });
    this.lanes.append(make("h3", {}, name), canvas);
  }

  makeLegend() {
    const names = new Set((this.data.classes || []).filter((name) => name !== "neutral"));
    for (const track of this.tracks) for (const segment of track.segments) names.add(segment.label);
    const items = [...names].map((name) => {
      const patch = make("span", { class: "patch", "aria-hidden": "true" });
      patch.style.background = this.colour(name);
      return make("li", {}, patch, name);
    });
    return make("ul", { class: "legend", "aria-label": "Colours" }, ...items);
  }

  makeEditor() {
    const labels = this.data.classes || [];
    this.newLabel = make("select", { "aria-label": "Emotion of a new segment" },
      ...labels.filter((name) => name !== "neutral").map((name) => make("option", {}, name)));
    return make("div", { class: "toolbar", role: "toolbar", "aria-label": "Corrections" },
      this.newLabel,
      make("button", { type: "button", onclick: () => this.add() }, "Add here"),
      make("button", { type: "button", onclick: () => this.split() }, "Split here"),
      make("button", { type: "button", onclick: () => this.undo() }, "Undo"));
  }

  makeWave() {
    const { data } = this;
    const high = bytes(data.peaks.high), low = bytes(data.peaks.low);
    const signed = (values) => Float32Array.from(values, (value) => (value - 128) / 127);
    const style = getComputedStyle(this.element);
    const wave = WaveSurfer.create({
      container: this.waveform, media: this.audio, height: 90,
      peaks: [signed(high), signed(low)], duration: data.duration,
      waveColor: style.getPropertyValue("--wave").trim() || "#777",
      progressColor: style.getPropertyValue("--played").trim() || "#333",
      cursorColor: style.getPropertyValue("--cursor").trim() || "#c00",
      cursorWidth: 2, minPxPerSec: 0, autoCenter: true, dragToSeek: true,
    });
    for (const event of ["scroll", "zoom", "redraw", "ready", "resize"]) wave.on(event, () => this.paint());
    wave.on("timeupdate", () => this.follow());
    wave.on("play", () => { this.playButton.textContent = "Pause"; });
    wave.on("pause", () => { this.playButton.textContent = "Play"; });
    wave.on("interaction", () => this.follow());
    return wave;
  }

  // ------------------------------------------------------------------------------- playing

  withoutAudio() {
    this.playButton.disabled = true;
    this.picker.hidden = false;
    this.note.textContent = this.data.audio
      ? `${this.data.source || "The audio"} is not where this page looks for it; choose the file to listen.`
      : "This page holds no audio; choose the file to listen.";
  }

  openAudio(file) {
    if (!file) return;
    this.audio.src = URL.createObjectURL(file);
    this.playButton.disabled = false;
    this.note.textContent = "";
  }

  toggle() {
    if (this.playButton.disabled) return;
    this.wave.playPause().catch((error) => { this.note.textContent = `It does not play: ${error.message}`; });
  }

  seek(time) {
    const now = Math.min(Math.max(0, time), this.data.duration);
    this.now = now;
    if (this.audio.readyState) this.audio.currentTime = now;
    else this.wave.setTime(now); // without sound there is still a place
    const { from, to } = this.range();
    if (now < from || now > to) this.wave.setScrollTime(Math.max(0, now - (to - from) / 4));
    this.follow();
  }

  /** Show where the player is. */
  follow() {
    const { audio } = this; // which tells of an old place while it looks for a new one
    if (audio.readyState && !audio.seeking) this.now = audio.currentTime;
    const { now } = this;
    this.time.textContent = clock(now);
    const { from, to } = this.range();
    const share = (now - from) / (to - from);
    this.cursor.hidden = !(share >= 0 && share <= 1);
    this.cursor.style.left = `${100 * share}%`;
    const current = this.main.segments.findIndex((s) => s.start <= now && now < s.end);
    if (current !== this.current) {
      this.current = current;
      for (const row of this.tableBody.children)
        row.toggleAttribute("aria-current", Number(row.dataset.number) === current);
    }
  }

  step(direction) {
    const now = this.now;
    const starts = this.main.segments.map((segment) => segment.start);
    const next = direction > 0
      ? starts.find((start) => start > now + 0.05)
      : starts.findLast((start) => start < now - 0.5);
    if (next !== undefined) this.seek(next);
  }

  press(event) {
    if (event.target.closest("input, select, textarea") || event.altKey || event.metaKey) return;
    if (event.ctrlKey && event.key !== "z") return;
    const zoom = Number(this.zoomer.value);
    const actions = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(this.now - 5),
      ArrowRight: () => this.seek(this.now + 5),
      n: () => this.step(1),
      p: () => this.step(-1),
      "+": () => this.setZoom(zoom + 10),
      "-": () => this.setZoom(zoom - 10),
      0: () => this.setZoom(0),
    };
    if (this.editable) {
      actions.Delete = () => this.remove(this.chosen);
      if (event.ctrlKey) actions.z = () => this.undo();
    }
    const action = actions[event.key];
    if (!action || (event.key === " " && event.target.closest("button, summary"))) return;
    event.preventDefault();
    action();
  }

  // ------------------------------------------------------------------------------- drawing

  /** Zoom from 0, the whole recording, to 1, two seconds on the screen. */
  zoom(share) {
    const width = this.waveform.clientWidth;
    const least = width / this.data.duration, most = Math.max(least, width / 2);
    this.wave.zoom(share === 0 ? 0 : least * (most / least) ** share);
    if (share) this.wave.setScrollTime(Math.max(0, this.now - width / (least * (most / least) ** share) / 2));
    this.paint();
  }

  setZoom(value) {
    this.zoomer.value = Math.min(100, Math.max(0, value));
    this.zoom(Number(this.zoomer.value) / 100);
  }

  /** Seconds at the left and right border. */
  range() {
    if (!this.wave) return { from: 0, to: this.data.duration };
    const whole = this.wave.getWrapper().clientWidth || 1;
    const from = (this.wave.getScroll() / whole) * this.data.duration;
    return { from, to: from + (this.wave.getWidth() / whole) * this.data.duration };
  }

  paint() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      const ratio = window.devicePixelRatio || 1;
      for (const { canvas, height, paint } of this.canvases) {
        const width = canvas.clientWidth;
        canvas.width = Math.max(1, Math.round(width * ratio));
        canvas.height = Math.round(height * ratio);
        const context = canvas.getContext("2d");
        context.scale(ratio, ratio);
        context.clearRect(0, 0, width, height);
        paint(context, width);
      }
      this.follow();
    });
  }

  paintScores(context, width) {
    const { hop, num_frames: count } = this.data.posteriors, { classes } = this.data;
    const { from, to } = this.range();
    const sums = new Float64Array(classes.length);
    for (let x = 0; x < width; x++) {
      const first = Math.floor((from + ((to - from) * x) / width) / hop);
      const last = Math.max(first + 1, Math.floor((from + ((to - from) * (x + 1)) / width) / hop));
      const stride = Math.max(1, Math.floor((last - first) / 16)); // a pixel of an hour is long
      sums.fill(0);
      for (let frame = first; frame < Math.min(last, count); frame += stride) {
        if (this.scores[frame * classes.length] === MISSING) continue;
        for (let c = 0; c < classes.length; c++) sums[c] += this.scores[frame * classes.length + c];
      }
      const total = sums.reduce((sum, value) => sum + value, 0);
      let y = AREA;
      for (let c = 0; total && c < classes.length; c++) {
        if (classes[c] === "neutral") continue; // what the others leave
        const height = (AREA * sums[c]) / total;
        context.fillStyle = this.colour(classes[c]);
        context.fillRect(x, y - height, 1, height);
        y -= height;
      }
    }
  }

  paintTrack(context, width, track) {
    const { from, to } = this.range(), scale = width / (to - from);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (const segment of track.segments) {
      if (segment.end < from || segment.start > to) continue;
      const left = (segment.start - from) * scale, right = (segment.end - from) * scale;
      const shown = Math.max(0, left), size = Math.max(1, Math.min(width, right) - shown);
      context.fillStyle = this.colour(segment.label);
      context.fillRect(shown, 0, size, ROW);
      if (segment === this.chosen) {
        context.strokeStyle = getComputedStyle(this.element).color;
        context.lineWidth = 3;
        context.strokeRect(shown + 1.5, 1.5, Math.max(1, size - 3), ROW - 3);
      }
      if (context.measureText(segment.label).width + 10 < size) {
        context.fillStyle = inkOn(this.colour(segment.label));
        context.fillText(segment.label, shown + 5, ROW / 2);
      }
    }
  }

  colour(label) {
    return this.colours[label] || "#777777";
  }

  fillTable() {
    const rows = this.main.segments.slice(0, this.shown).map((segment, number) => {
      const times = this.editable
        ? ["start", "end"].map((edge) => make("input", {
          value: clock(segment[edge], 2), size: 9,
          "aria-label": `${edge} of segment ${number + 1}`,
          onchange: (event) => this.retime(segment, edge, event.target),
        }))
        : [make("button", { type: "button", class: "link", onclick: () => this.seek(segment.start) }, clock(segment.start, 2)),
          clock(segment.end, 2)];
      const patch = make("span", { class: "patch", "aria-hidden": "true" });
      patch.style.background = this.colour(segment.label);
      const label = this.editable
        ? make("select", { "aria-label": `emotion of segment ${number + 1}`, onchange: (event) => this.relabel(segment, event.target.value) },
          ...[...new Set([segment.label, ...(this.data.classes || [])])].map((name) =>
            make("option", { selected: name === segment.label }, name)))
        : segment.label;
      const cells = [times[0], times[1], `${(segment.end - segment.start).toFixed(2)} s`,
        make("span", {}, patch, label),
        segment.confidence === null ? "" : `${Math.round(100 * segment.confidence)} %`];
      if (this.editable) cells.push(make("span", {},
        make("button", { type: "button", "aria-label": `Play segment ${number + 1}`, onclick: () => this.choose(segment) }, "Show"), " ",
        make("button", { type: "button", "aria-label": `Remove segment ${number + 1}`, onclick: () => this.remove(segment) }, "Remove")));
      return make("tr", { "data-number": number }, ...cells.map((cell) => make("td", {}, cell)));
    });
    if (!rows.length) rows.push(make("tr", {}, make("td", { colspan: 6 }, "No emotion but neutral.")));
    this.tableBody.replaceChildren(...rows);
    this.more.hidden = this.main.segments.length <= this.shown;
    this.more.textContent = `Show more of ${this.main.segments.length}`;
    this.fillShares();
  }

  fillShares() {
    const lengths = new Map();
    for (const { start, end, label } of this.main.segments)
      lengths.set(label, (lengths.get(label) || 0) + end - start);
    const speech = this.data.speech ?? this.data.duration;
    const rows = [...lengths].sort((a, b) => b[1] - a[1]).map(([label, length]) => {
      const bar = make("span", { class: "bar", "aria-hidden": "true" });
      const share = speech ? length / speech : 0;
      bar.style.width = `${Math.min(100, 100 * share)}%`;
      bar.style.background = this.colour(label);
      return make("tr", {}, make("th", { scope: "row" }, label), make("td", {}, clock(length)),
        make("td", {}, `${(100 * share).toFixed(1)} %`), make("td", { class: "bars" }, bar));
    });
    const of = this.data.speech == null ? "the recording" : `${clock(speech)} of speech`;
    this.shares.replaceChildren(...(rows.length ? [make("table", {},
      make("caption", {}, `Shares of ${of}`), make("tbody", {}, ...rows))] : []));
  }

  // ------------------------------------------------------------------------------- correcting

  timeAt(event, canvas) {
    const { from, to } = this.range(), box = canvas.getBoundingClientRect();
    return from + ((to - from) * (event.clientX - box.left)) / box.width;
  }

  edgeAt(time) {
    const { from, to } = this.range(), near = (HOLD * (to - from)) / this.lanes.clientWidth;
    for (const segment of this.main.segments)
      for (const edge of ["start", "end"])
        if (Math.abs(segment[edge] - time) < near) return { segment, edge };
    return null;
  }

  grab(event, canvas, track) {
    const time = this.timeAt(event, canvas);
    const edge = this.editable && track === this.main ? this.edgeAt(time) : null;
    if (!edge) {
      this.chosen = track === this.main
        ? track.segments.find((s) => s.start <= time && time < s.end) || null : null;
      this.seek(time);
      this.paint();
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    this.remember();
    const move = (moved) => this.setEdge(edge.segment, edge.edge, this.timeAt(moved, canvas));
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", () => {
      canvas.removeEventListener("pointermove", move);
      this.changed();
    }, { once: true });
  }

  /** Move an edge, but not past the segment's other one, a neighbour, or the recording's ends. */
  setEdge(segment, edge, time) {
    const { segments } = this.main, place = segments.indexOf(segment);
    const before = segments.slice(0, place).reduce((most, other) => Math.max(most, other.end), 0);
    const after = place + 1 < segments.length ? segments[place + 1].start : this.data.duration;
    const [least, most] = edge === "start"
      ? [Math.min(before, segment.start), segment.end - 0.02]
      : [segment.start + 0.02, Math.max(after, segment.end)];
    segment[edge] = Math.round(1000 * Math.min(Math.max(time, least), most)) / 1000;
    this.paint();
  }

  retime(segment, edge, input) {
    const time = seconds(input.value);
    if (Number.isNaN(time)) {
      this.note.textContent = `${input.value} is no time; write it as 1:02.5`;
      input.value = clock(segment[edge], 2);
      return;
    }
    this.remember();
    this.setEdge(segment, edge, time);
    this.changed();
  }

  relabel(segment, label) {
    this.remember();
    if (label === "neutral") this.main.segments.splice(this.main.segments.indexOf(segment), 1);
    else Object.assign(segment, { label, confidence: null });
    this.changed();
  }

  choose(segment) {
    this.chosen = segment;
    this.seek(segment.start);
    this.paint();
  }

  add() {
    const start = this.now, { segments } = this.main;
    if (segments.some((s) => s.start <= start && start < s.end)) {
      this.note.textContent = "There is a segment here already; split or change it.";
      return;
    }
    const next = segments.find((s) => s.start > start);
    const end = Math.min(start + 2, next ? next.start : this.data.duration);
    if (end - start < 0.02) return;
    this.remember();
    this.chosen = { start, end, label: this.newLabel.value, confidence: null };
    segments.push(this.chosen);
    this.changed();
  }

  split() {
    const now = this.now;
    const segment = this.main.segments.find((s) => s.start + 0.02 < now && now < s.end - 0.02);
    if (!segment) {
      this.note.textContent = "There is no segment here to split.";
      return;
    }
    this.remember();
    this.main.segments.push({ ...segment, start: now });
    segment.end = now;
    this.changed();
  }

  remove(segment) {
    const place = this.main.segments.indexOf(segment);
    if (place < 0) return;
    this.remember();
    this.main.segments.splice(place, 1);
    this.changed();
  }

  remember() {
    this.undone.push(this.main.segments.map((segment) => ({ ...segment })));
  }

  undo() {
    const last = this.undone.pop();
    if (!last) return;
    this.main.segments = last;
    this.chosen = null;
    this.changed();
  }

  changed() {
    this.note.textContent = "";
    this.main.segments.sort((a, b) => a.start - b.start || a.end - b.end);
    this.fillTable();
    this.paint();
    this.onchange(this.main.segments);
  }
}

if (typeof module !== "undefined") module.exports = { clock, seconds, inkOn };
