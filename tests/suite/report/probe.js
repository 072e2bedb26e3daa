// Looks at a page as people meet it, and leaves what it finds in attributes of the root element: `fits` (widths at which
// nothing overflows), `contrast` (the worst text), `names` (images and controls without words), `order` (the focus).
addEventListener("load", () => {
  const found = document.documentElement.dataset;
  const channel = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { r, g, b, a };
  };
  const luminance = ({ r, g, b }) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const background = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.a > 0.99) return colour;
    }
    return { r: 255, g: 255, b: 255, a: 1 };
  };
  // WCAG 2.1, contrast minimum: 4.5, or 3 for large text.
  let worst = { margin: Infinity, words: "" };
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const style = getComputedStyle(e);
    if (!own || e.closest("svg, script, style") || !e.getClientRects().length || style.visibility === "hidden") continue;
    const [a, b] = [luminance(parse(style.color)), luminance(background(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if (ratio / needed < worst.margin) {
      worst = { margin: ratio / needed, words: `${ratio.toFixed(2)} of ${e.outerHTML.slice(0, 80)}` };
    }
  }
  found.contrast = worst.margin >= 1 ? "enough" : worst.words;

  const spoken = (e) => e.getAttribute("aria-label") || e.getAttribute("alt") || e.textContent.trim() ||
    (e.labels && [...e.labels].some((l) => l.textContent.trim()));
  const pictures = [...document.querySelectorAll("img, svg")].filter((e) => !e.closest("[aria-hidden=true]") &&
    !e.parentElement.closest("svg"));
  const controls = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")];
  const mute = [...pictures.filter((e) => !e.getAttribute("aria-label") && !e.getAttribute("alt")),
    ...controls.filter((e) => !spoken(e))];
  found.names = mute.length ? mute[0].outerHTML.slice(0, 120) : "all";
  const first = controls[0] && controls[0].classList.contains("skip");
  found.order = first && controls.every((e) => e.tabIndex <= 0) ? "of the page" : "changed";
  // What has the focus by keyboard can be seen to have it.
  const reachable = controls.filter((e) => e.tabIndex === 0 && e.getClientRects().length).slice(0, 40);
  // (Nothing takes it inside a closed <details>.)
  const unseen = reachable.filter((e) => {
    e.focus({ focusVisible: true });
    return document.activeElement === e && getComputedStyle(e).outlineStyle === "none";
  });
  found.focus = unseen.length ? unseen[0].outerHTML.slice(0, 120) : "seen";

  const text = "<!doctype html>" + document.documentElement.outerHTML.replace(/<script id="probe">[^]*?<\/script>/, "");
  found.fits = "";
  for (const width of [360, 800, 1000, 1600]) {
    const frame = document.createElement("iframe");
    frame.style.cssText = `width:${width}px;height:800px;border:0`;
    frame.onload = () => {
      const page = frame.contentDocument;
      const wide = [...page.querySelectorAll(".card dd, .card dt")].find((e) => e.scrollWidth > e.clientWidth);
      const good = page.documentElement.scrollWidth <= width && !wide;
      found.fits += good ? `${width} ` : `(${width}: ${page.documentElement.scrollWidth} ${wide ? wide.textContent : ""}) `;
    };
    frame.srcdoc = text;
    document.body.append(frame);
  }
});
