// The map page made interactive. The page is complete without this module: it swaps the drawn map for a
// MapLibre one, and follows the form without loading the whole page again.
import { mapTexts } from "./map-texts.js";
import { fetchStyle, mapStyle } from "./map-style.js";
import { popupContent } from "./map-popup.js";

const PARTS = ["figure", "legend", "details", "other-language"];
const container = document.getElementById("map");
const stage = container.parentElement;
const form = document.getElementById("choice");
const language = document.documentElement.lang;
const root = container.dataset.root;
const zones = JSON.parse(container.dataset.zones);
const figure = () => document.getElementById("figure");

let library;
let map;
let layerStyle;
let popup;
let request = 0;

async function currentStyle() {
  layerStyle = await fetchStyle(root + figure().dataset.style);
  return mapStyle(layerStyle, await Promise.all(zones.map((address) => fetchStyle(root + address))));
}

function drawnLayers() {
  return layerStyle.layers.map((layer) => layer.id).filter((id) => map.getLayer(id));
}

function describe(point) {
  const [feature] = map.queryRenderedFeatures(point, { layers: drawnLayers() });
  if (!feature) return;
  const where = map.unproject(point);
  popup?.remove();
  popup = new library.Popup({ maxWidth: "340px", locale: mapTexts(language) })
    .setLngLat(where)
    .setDOMContent(popupContent(feature, layerStyle, language, root))
    .addTo(map);
}

// Cells grow as the map zooms out, and their limits with them.
function showLegend() {
  const zoom = map.getZoom();
  for (const legend of document.querySelectorAll("#legend > [data-from]")) {
    legend.hidden = zoom < Number(legend.dataset.from) || zoom >= Number(legend.dataset.to);
  }
}

// The legend lies over the map on wide screens, under it on narrow ones.
function isWide() {
  return window.getComputedStyle(document.getElementById("legend")).position === "absolute";
}

// Keep the city clear of the legend where that lies over the map.
function padding() {
  const legend = document.getElementById("legend");
  return { top: 16, right: 16, bottom: 40, left: isWide() ? legend.offsetWidth + 28 : 16 };
}

function announceReady() {
  container.dataset.ready = figure().dataset.style;
}

async function start() {
  library = await import(container.dataset.maplibre);
  const [west, south, east, north] = container.dataset.bounds.split(",").map(Number);
  const style = await currentStyle();
  stage.classList.add("mapped");
  try {
    map = new library.Map({
      container,
      style,
      bounds: [[west, south], [east, north]],
      fitBoundsOptions: { padding: padding() },
      hash: true,
      maxZoom: 18,
      dragRotate: false,
      pitchWithRotate: false,
      locale: mapTexts(language),
      attributionControl: { compact: false },
    });
  } catch (error) {
    stage.classList.remove("mapped"); // no WebGL: the drawn map stays
    throw error;
  }
  map.touchZoomRotate.disableRotation();
  map.addControl(new library.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new library.ScaleControl({ unit: "metric" }), isWide() ? "bottom-left" : "top-left");
  map.on("click", (event) => describe(event.point));
  map.getCanvas().addEventListener("keydown", (event) => {
    if (event.key === "Enter") describe(map.project(map.getCenter()));
  });
  map.on("mousemove", (event) => {
    const hit = map.queryRenderedFeatures(event.point, { layers: drawnLayers() }).length > 0;
    map.getCanvas().style.cursor = hit ? "pointer" : "";
  });
  map.on("error", (event) => console.error(`MapLibre: ${event.error?.message ?? event.type}`));
  map.on("zoom", showLegend);
  map.on("idle", announceReady);
  showLegend();
  window.calanqueMap = map; // for scripts of the reader, and for tests
}

async function show(address, { remember }) {
  const mine = ++request;
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  if (!answer.ok) {
    window.location.assign(address);
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (mine !== request) return; // another layer was chosen meanwhile
  for (const id of PARTS) {
    document.getElementById(id).replaceWith(document.adoptNode(page.getElementById(id)));
  }
  // changed in place, so that a screen reader announces the new sentence
  for (const selector of ["h1", "#sentence"]) {
    document.querySelector(selector).textContent = page.querySelector(selector).textContent;
  }
  document.title = page.title;
  const wanted = page.querySelector("input[name=layer]:checked");
  form.elements.layer.value = wanted.value;
  if (form.elements.theme) form.elements.theme.value = page.getElementById("theme").value;
  if (remember) window.history.pushState(null, "", address + window.location.hash);
  popup?.remove();
  showLegend();
  delete container.dataset.ready;
  const style = await currentStyle();
  if (mine === request) map.setStyle(style, { diff: false });
}

// What cannot be shown in place is loaded as a page, which tells what is wrong.
function showOrLoad(address, options) {
  show(address, options).catch(() => window.location.assign(address));
}

function follow() {
  const query = new URLSearchParams(new FormData(form));
  showOrLoad(`${form.action}?${query}`, { remember: true });
}

start().then(() => {
  document.documentElement.classList.add("scripted");
  form.addEventListener("change", follow);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    follow();
  });
  window.addEventListener("popstate", () => showOrLoad(window.location.href.split("#")[0], { remember: false }));
}).catch((error) => console.warn(`MapLibre: ${error.message}`));
