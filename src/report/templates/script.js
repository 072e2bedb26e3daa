"use strict";
(function () {
  const root = document.documentElement;
  root.dataset.errors = "0";
  window.addEventListener("error", function (event) {
    root.dataset.errors = String(Number(root.dataset.errors) + 1);
    root.dataset.lastError = event.message || String(event.target && event.target.outerHTML || "").slice(0, 200);
  }, true);
  root.classList.add("script");
  const all = function (selector, from) { return Array.from((from || document).querySelectorAll(selector)); };
  const BLINK_MS = 700;

  // Mask outlines on and off; of no use on a page without maps.
  const masks = document.getElementById("show-masks");
  if (document.querySelector("svg .mask")) {
    masks.addEventListener("change", function () { root.classList.toggle("no-masks", !masks.checked); });
  } else {
    masks.parentElement.hidden = true;
    masks.parentElement.style.display = "none";
  }

  // Tables: a click (or Enter) on a heading sorts, numbers by value, words by the alphabet.
  all("table.sortable").forEach(function (table) {
    const body = table.tBodies[0];
    all("thead th", table).forEach(function (heading, column) {
      heading.tabIndex = 0;
      const sort = function () {
        const descending = heading.getAttribute("aria-sort") === "ascending" ||
          (!heading.hasAttribute("aria-sort") && heading.classList.contains("number"));
        all("thead th", table).forEach(function (h) { h.removeAttribute("aria-sort"); });
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const key = function (row) {
          const cell = row.cells[column];
          return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
        };
        const rows = Array.from(body.rows);
        rows.sort(function (a, b) {
          const x = key(a), y = key(b);
          // Cells without a number always come last.
          if (typeof x !== typeof y) { return typeof x === "number" ? -1 : 1; }
          const order = typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
          return descending ? -order : order;
        });
        rows.forEach(function (row) { body.appendChild(row); });
      };
      heading.addEventListener("click", sort);
      heading.addEventListener("keydown", function (e) {
        if (e.key === "Enter" || e.key === " ") { e.preventDefault(); sort(); }
      });
    });
  });
  all("[data-filter]").forEach(function (input) {
    input.addEventListener("input", function () {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      all("table.overview tbody tr").forEach(function (row) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (w) { return text.includes(w); });
      });
    });
  });

  // All rounds on one scale: choose, blink the last two chosen, or play.
  all("[data-flipbook]").forEach(function (book) {
    const radios = all("input[type=radio]", book);
    const stacks = all(".stack", book).map(function (s) { return all(".frame", s); });
    let shown = radios.findIndex(function (r) { return r.checked; });
    let before = shown > 0 ? shown - 1 : Math.min(1, radios.length - 1);
    let timer = null;
    const show = function (index) {
      if (index !== shown) { before = shown; }
      shown = index;
      radios[index].checked = true;
      stacks.forEach(function (frames) {
        frames.forEach(function (frame, i) { frame.classList.toggle("on", i === index); });
      });
    };
    const buttons = { blink: book.querySelector("[data-blink]"), play: book.querySelector("[data-play]") };
    const stop = function () {
      clearInterval(timer);
      timer = null;
      buttons.blink.setAttribute("aria-pressed", "false");
      buttons.play.setAttribute("aria-pressed", "false");
    };
    const start = function (button, next) {
      const running = button.getAttribute("aria-pressed") === "true";
      stop();
      if (!running) {
        button.setAttribute("aria-pressed", "true");
        show(next());
        timer = setInterval(function () { show(next()); }, BLINK_MS);
      }
    };
    radios.forEach(function (radio, i) { radio.addEventListener("change", function () { stop(); show(i); }); });
    buttons.blink.addEventListener("click", function () { start(buttons.blink, function () { return before; }); });
    buttons.play.addEventListener("click", function () {
      start(buttons.play, function () { return (shown + 1) % radios.length; });
    });
  });

  // A map and the one before it on the same scale.
  all("[data-blinker]").forEach(function (figure) {
    const frames = all(".frame", figure);
    const blink = figure.querySelector("[data-blink-before]"), hold = figure.querySelector("[data-hold]");
    const which = figure.querySelector(".which");
    const name = blink.textContent.replace(/^Blink with /, "");
    let timer = null;
    const show = function (old) {
      frames[0].classList.toggle("on", !old);
      frames[1].classList.toggle("on", old);
      which.textContent = old ? name : "this round";
    };
    const stop = function () {
      clearInterval(timer);
      timer = null;
      blink.setAttribute("aria-pressed", "false");
      show(false);
    };
    blink.addEventListener("click", function () {
      if (timer !== null) { stop(); return; }
      blink.setAttribute("aria-pressed", "true");
      let old = true;
      show(true);
      timer = setInterval(function () { old = !old; show(old); }, BLINK_MS);
    });
    ["pointerdown", "keydown"].forEach(function (type) {
      hold.addEventListener(type, function (e) {
        if (type === "keydown" && e.key !== " " && e.key !== "Enter") { return; }
        stop();
        show(true);
      });
    });
    ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"].forEach(function (type) {
      hold.addEventListener(type, function () { if (timer === null) { show(false); } });
    });
  });

  // Paper cannot be opened: show all details while printing.
  let opened = [];
  window.addEventListener("beforeprint", function () {
    opened = all("details:not([open])");
    opened.forEach(function (d) { d.open = true; });
  });
  window.addEventListener("afterprint", function () { opened.forEach(function (d) { d.open = false; }); });
}());
