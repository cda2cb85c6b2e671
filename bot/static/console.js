// Small comforts; every page works without them.
document.documentElement.classList.add("scripted");

document.querySelectorAll("form[method=post]").forEach((form) => {
  // one press is enough: a second one while the first is under way is no second wish
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 3000);
  });
});
const fault = document.querySelector("[aria-invalid=true]");
if (fault) fault.focus();

// one box that ticks all of its form: <input type="checkbox" data-ticks="name">
document.querySelectorAll("[data-ticks]").forEach((all) => {
  all.closest("label").hidden = false;
  all.addEventListener("change", () => {
    all.form.querySelectorAll(`[name="${all.dataset.ticks}"]`).forEach((box) => { box.checked = all.checked; });
  });
});

// the menu on a phone
const opener = document.querySelector(".menu-button");
if (opener) {
  opener.addEventListener("click", () => {
    const open = document.getElementById("menu").classList.toggle("open");
    opener.setAttribute("aria-expanded", String(open));
  });
}

// what moves by itself: <section data-follow="/console/…/news"> holds elements that are named
// data-is="field"; a <progress> takes its value, data-max="field" its end, anything else the text.
// Once nothing moves any more the page is read anew.
document.querySelectorAll("[data-follow]").forEach((part) => {
  const stream = new EventSource(part.dataset.follow);
  const off = part.querySelector("[data-off]");
  stream.onopen = () => { if (off) off.hidden = true; };
  stream.onerror = () => { if (off && stream.readyState === EventSource.CLOSED) off.hidden = false; };
  stream.onmessage = (event) => {
    const news = JSON.parse(event.data);
    part.querySelectorAll("[data-is]").forEach((element) => {
      const value = news[element.dataset.is];
      if (value === undefined) return;
      if (element.matches("progress")) element.value = value;
      else element.textContent = value;
    });
    part.querySelectorAll("[data-max]").forEach((element) => {
      const value = news[element.dataset.max];
      if (value) element.max = value;
    });
    if (news.over) {
      stream.close();
      location.reload();
    }
  };
});

// what a form comes to while it is filled in: <form data-live="/console/…" data-into="id"> is
// sent there a moment after each change, and the piece of page that comes back is put in its place
document.querySelectorAll("form[data-live]").forEach((form) => {
  const into = document.getElementById(form.dataset.into);
  let wait, asking;
  const ask = async () => {
    if (asking) asking.abort();
    asking = new AbortController();
    const mine = asking;
    into.classList.add("waiting");
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(form.dataset.live, { method: "POST", body, signal: mine.signal });
      if (!answer.ok) return;
      into.innerHTML = await answer.text();
      into.classList.remove("waiting");
    } catch (error) {
      if (error.name !== "AbortError") console.warn(error.message);
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(ask, 400);
  });
});

// parts of a form that are of use with one choice only: <fieldset data-with="name=value">
document.querySelectorAll("[data-with]").forEach((part) => {
  const [name, value] = part.dataset.with.split("=");
  const form = part.closest("form");
  const fit = () => { part.hidden = new FormData(form).get(name) !== value; };
  form.addEventListener("change", fit);
  fit();
});
