// A page of one or more recordings, each in an element of data; one of them is shown at a time.

"use strict";

(() => {
  const recordings = [...document.querySelectorAll("script.recording")];
  const place = document.querySelector("#viewer");
  const buttons = recordings.map((script, number) => {
    const data = JSON.parse(script.textContent);
    const name = data.channels > 1 ? `${data.uri}, channel ${data.channel}` : data.uri;
    return make("button", { type: "button", onclick: () => show(number) }, name);
  });
  let viewer = null;

  function show(number) {
    const script = recordings[number], data = JSON.parse(script.textContent);
    const sound = script.nextElementSibling;
    if (sound && sound.classList.contains("sound"))
      data.audio = URL.createObjectURL(new Blob([bytes(sound.textContent)], { type: "audio/webm" }));
    if (viewer) {
      const { src } = viewer.audio;
      viewer.destroy();
      if (src.startsWith("blob:")) URL.revokeObjectURL(src);
    }
    viewer = new Viewer(place, data, { colours: data.colours });
    buttons.forEach((button, at) => {
      if (at === number) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
    window.viewer = viewer;
  }

  if (recordings.length > 1)
    document.querySelector("nav").append(make("ul", { class: "recordings" }, ...buttons.map((button) => make("li", {}, button))));
  if (recordings.length) show(0);
  else place.append("No recording.");
  document.addEventListener("keydown", (event) => {
    if (event.target === document.body && viewer) viewer.press(event);
  });
})();
