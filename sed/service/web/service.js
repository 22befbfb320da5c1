// The service's page: hand in recordings, watch them, see, hear and correct what was found.

"use strict";

const COLOURS = {
  angry: "#D55E00", happy: "#E69F00", sad: "#0072B2", fearful: "#CC79A7", surprised: "#56B4E9",
  disgusted: "#009E73", excited: "#F0E442", neutral: "#999999",
}; // a test holds them against sed.colours
const POINTS = 4000; // the most that the server gives, of waveform and probabilities in a page

const at = (selector) => document.querySelector(selector);
const jobs = new Map(); // by id: { job, element, upload }
let token = sessionStorage.getItem("token");
let info = null, open = null, before = null;

function say(text) {
  at("#message").textContent = text;
}

// -------------------------------------------------------------------------------- the server

/** Answer of the server; errors are its own words. */
async function call(path, options = {}) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) askForToken();
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.detail || `the server answered ${answer.status}`);
  }
  return answer;
}

const json = async (path, options) => (await call(path, options)).json();

function askForToken() {
  at("#login").hidden = false;
  at("#upload").hidden = true;
}

at("#login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("#login input").value;
  sessionStorage.setItem("token", token);
  at("#login").hidden = true;
  at("#upload").hidden = false;
  begin();
});

/** The job whenever its events tell something new; broken connections are taken up again. */
async function* eventsOf(known) {
  let job = known;
  const { id } = job;
  for (let tries = 0; tries < 20; tries++) {
    try {
      const answer = await call(`v1/jobs/${id}/events`);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const events = text.split(/\r?\n\r?\n/);
        text = events.pop();
        for (const event of events) {
          const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
          if (!data.length) continue;
          job = { ...job, ...JSON.parse(data.map((line) => line.slice(5)).join("\n")) };
          yield job;
          if (isOver(job)) return;
          tries = 0;
        }
      }
    } catch (error) {
      if (/no such job/.test(error.message)) return;
    }
    await new Promise((resume) => setTimeout(resume, 1000));
  }
}

const isOver = (job) => ["done", "failed", "cancelled"].includes(job.state);

// ------------------------------------------------------------------------------ handing in

/** Send a file; `XMLHttpRequest`, because `fetch` tells no progress of what is sent. */
function send(file, channel) {
  const entry = { job: { name: file.name, state: "uploading", progress: 0 } };
  entry.element = at(".jobs").insertBefore(make("li"), at(".jobs").firstChild);
  const request = new XMLHttpRequest();
  entry.upload = request;
  const fail = (reason) => {
    entry.job = { ...entry.job, state: "failed", error: reason };
    draw(entry);
  };
  request.upload.onprogress = (event) => {
    entry.job.progress = event.loaded / event.total;
    draw(entry);
  };
  request.onload = () => {
    if (request.status === 401) askForToken();
    let said = {};
    try { said = JSON.parse(request.responseText); } catch { /* no answer of ours */ }
    if (request.status !== 202) return fail(said.detail || `the server answered ${request.status}`);
    entry.job = said;
    jobs.set(said.id, entry);
    watch(entry, true);
  };
  request.onerror = () => fail("the connection broke; try again");
  request.onabort = () => entry.element.remove();
  request.open("POST", `v1/jobs?${new URLSearchParams({ name: file.name, channel })}`);
  if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(file);
  draw(entry);
}

function sendAll(files) {
  for (const file of files) send(file, at("[name=channel]").value);
}

const drop = at(".drop");
drop.querySelector("input").addEventListener("change", (event) => {
  sendAll(event.target.files);
  event.target.value = "";
});
for (const kind of ["dragover", "dragleave", "drop"])
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") sendAll(event.dataTransfer.files);
  });

// ---------------------------------------------------------------------------------- the list

async function watch(entry, show = false) {
  draw(entry);
  if (!isOver(entry.job))
    for await (const job of eventsOf(entry.job)) {
      entry.job = job;
      draw(entry);
    }
  if (show && entry.job.state === "done" && !open) openJob(entry);
}

function draw(entry) {
  const { job } = entry;
  const button = (text, onclick, kind = "") =>
    make("button", { type: "button", class: kind, "aria-label": `${text} ${job.name}`, onclick }, text);
  const buttons = [];
  if (job.state === "done") buttons.push(button("Open", () => openJob(entry), "primary"));
  if (job.state === "uploading") buttons.push(button("Cancel", () => entry.upload.abort()));
  else buttons.push(button(isOver(job) ? "Remove" : "Cancel", () => end(entry)));
  const words = { queued: "waiting", running: "listening", uploading: "sending" };
  const state = job.error || words[job.state] || (job.corrected ? "corrected" : job.state);
  const moving = ["running", "uploading"].includes(job.state);
  entry.element.replaceChildren(
    make("span", { class: "name" }, job.name),
    make("span", { class: "state" }, state),
    moving ? make("progress", { max: 1, value: job.progress, "aria-label": `Progress of ${job.name}` })
      : make("span", {}, job.duration ? clock(job.duration) : ""),
    make("span", { class: "buttons" }, ...buttons));
  if (open && open.entry === entry) entry.element.setAttribute("aria-current", "true");
  else entry.element.removeAttribute("aria-current");
  at("#nothing").hidden = at(".jobs").childElementCount > 0;
}

async function end(entry) {
  try {
    if (entry.job.id) await call(`v1/jobs/${entry.job.id}`, { method: "DELETE" });
    if (entry.job.id && !isOver(entry.job)) return; // its events tell the rest
    jobs.delete(entry.job.id);
    entry.element.remove();
    if (open && open.entry === entry) close();
    at("#nothing").hidden = at(".jobs").childElementCount > 0;
  } catch (error) {
    say(error.message);
  }
}

async function list() {
  const page = await json(`v1/jobs${before === null ? "" : `?before=${before}`}`);
  for (const job of page.jobs) {
    if (jobs.has(job.id)) continue;
    const entry = { job, element: at(".jobs").appendChild(make("li")) };
    jobs.set(job.id, entry);
    watch(entry);
  }
  before = page.next;
  at("#older").hidden = before === null;
}

// -------------------------------------------------------------------------------- the result

function close() {
  if (open && open.viewer) open.viewer.destroy();
  if (open && open.audio.startsWith("blob:")) URL.revokeObjectURL(open.audio);
  open = null;
  at("#result").hidden = true;
}

async function openJob(entry) {
  if (open && open.changed.size && !confirm("Leave without saving the corrections?")) return;
  const last = open && open.entry;
  close();
  const { job } = entry, path = `v1/jobs/${job.id}`;
  try {
    const [result, peaks, course] = await Promise.all([
      json(`${path}/result?format=json`), json(`${path}/peaks?points=${POINTS}`),
      json(`${path}/posteriors?points=${POINTS}`)]);
    // A player cannot send a token, so with one the sound is fetched first.
    const audio = token
      ? URL.createObjectURL(await (await call(`${path}/audio`)).blob()) : `${path}/audio`;
    open = { entry, audio, viewer: null, changed: new Set(), channels: result.recordings.map((recording) => {
      const same = (item) => item.channel === recording.channel;
      return viewOf(job, recording, peaks.channels.find(same), course.channels.find(same));
    }) };
  } catch (error) {
    say(error.message);
    return;
  }
  say("");
  at("#result").hidden = false;
  at("#channels").replaceChildren(...(open.channels.length < 2 ? [] : open.channels.map((view) =>
    make("button", { type: "button", onclick: () => show(view) }, `Channel ${view.channel}`))));
  show(open.channels[0]);
  if (last) draw(last);
  draw(entry);
  at("#result").scrollIntoView({ block: "nearest" });
}

/** What the viewer draws, of what the server tells of a channel. */
function viewOf(job, recording, peaks, course) {
  const both = [...peaks.low, ...peaks.high];
  const loudest = both.reduce((most, value) => Math.max(most, Math.abs(value)), 2);
  const shifted = (values) => Uint8Array.from(values, (value) => 128 + (120 * value) / loudest);
  const count = course.posteriors[0].length;
  const values = new Uint8Array(count * course.classes.length);
  course.posteriors.forEach((row, c) => row.forEach((p, n) => {
    values[n * course.classes.length + c] = Math.round(254 * p);
  }));
  return {
    uri: job.name, channel: recording.channel, channels: job.channels.length,
    duration: job.duration, classes: course.classes,
    tracks: [{ name: "Emotions", segments: recording.segments.map((segment) =>
      [segment.onset, segment.offset, segment.emotion, segment.confidence ?? null]) }],
    peaks: { high: shifted(peaks.high), low: shifted(peaks.low) },
    posteriors: { hop: course.step, num_frames: count, values },
  };
}

function show(view) {
  if (open.viewer) open.viewer.destroy();
  const colours = { ...COLOURS };
  open.viewer = new Viewer(at("#viewer"), { ...view, audio: open.audio }, {
    colours, editable: true,
    onchange: (segments) => {
      view.tracks[0].segments = segments.map((s) => [s.start, s.end, s.label, s.confidence]);
      open.changed.add(view);
      at("#save").disabled = false;
    },
  });
  window.viewer = open.viewer;
  at("#save").disabled = !open.changed.size;
  [...at("#channels").children].forEach((button, number) => {
    if (open.channels[number] === view) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
}

at("#save").addEventListener("click", async () => {
  const { entry, channels } = open;
  const recordings = channels.map((view) => ({
    uri: "corrected", channel: view.channel, duration: view.duration,
    segments: view.tracks[0].segments.map(([onset, offset, emotion, confidence]) =>
      confidence === null ? { onset, offset, emotion } : { onset, offset, emotion, confidence }),
  }));
  try {
    entry.job = await json(`v1/jobs/${entry.job.id}/result?format=json`, {
      method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ recordings }),
    });
    open.changed.clear();
    at("#save").disabled = true;
    say("The corrections are stored.");
    draw(entry);
  } catch (error) {
    say(error.message);
  }
});

at("#download").addEventListener("click", async () => {
  const format = at("#format").value, { entry, viewer } = open;
  const single = info.formats.find(({ name }) => name === format).single;
  const query = new URLSearchParams({ format });
  if (single && open.channels.length > 1) query.set("channel", viewer.data.channel);
  try {
    const answer = await call(`v1/jobs/${entry.job.id}/result?${query}`);
    const said = /filename="?([^";]+)/.exec(answer.headers.get("content-disposition") || "");
    const link = make("a", {
      href: URL.createObjectURL(await answer.blob()), download: said ? said[1] : `emotions.${format}`,
    });
    link.click();
    URL.revokeObjectURL(link.href);
  } catch (error) {
    say(error.message);
  }
});

at("#older").addEventListener("click", () => list().catch((error) => say(error.message)));
window.addEventListener("beforeunload", (event) => {
  if (open && open.changed.size) event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.target === document.body && open) open.viewer.press(event);
});

async function begin() {
  try {
    info = await json("v1/info");
    at("#keep").textContent = `${Math.round(info.keep / 360) / 10} hours`;
    at("#format").replaceChildren(...info.formats.map(({ name, description }) =>
      make("option", { value: name, title: description }, name)));
    await list();
    say("");
  } catch (error) {
    say(error.message);
    if (/being loaded/.test(error.message)) setTimeout(begin, 1000);
  }
}

begin();
