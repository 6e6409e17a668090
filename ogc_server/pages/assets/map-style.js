// One map style out of several style documents of the server.

const SEA = "#ffffff";
const LAND = "#f6f5f1";

// A style document with complete addresses, as the server gives it.
export async function fetchStyle(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
}

// The ground, the chosen layer, and the outlines of zones (fine to coarse) above it.
export function mapStyle(layer, zones) {
  const sources = Object.assign({}, ...zones.map((zone) => zone.sources), layer.sources);
  const layers = [{ id: "sea", type: "background", paint: { "background-color": SEA } }];
  if (zones.length > 0) {
    const [line] = zones[0].layers;
    layers.push({
      id: "land",
      type: "fill",
      source: line.source,
      "source-layer": line["source-layer"],
      paint: { "fill-color": LAND },
    });
  }
  layers.push(...layer.layers);
  const drawn = new Set(layer.layers.map((entry) => entry.id));
  zones.forEach((zone, level) => {
    for (const line of zone.layers) {
      if (drawn.has(line.id)) continue;
      const width = level === 0 ? 0.6 : 1.6;
      layers.push({ ...line, paint: { ...line.paint, "line-width": width, "line-opacity": 0.55 } });
    }
  });
  return { version: 8, sources, layers };
}
