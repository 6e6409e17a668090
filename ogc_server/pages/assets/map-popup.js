// What is said of one feature. Every text is set as text: nothing of the data is ever read as HTML.

const HIDDEN = new Set(["fid", "geometry"]);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function valueText(value, language) {
  return typeof value === "number" ? value.toLocaleString(language, { maximumFractionDigits: 4 }) : String(value);
}

// Class, then the attributes that the tile carries, under their titles; then the way to the whole record.
export function popupContent(feature, style, language, root) {
  const { "calanque:keys": keys, "calanque:fields": fields, "calanque:title": title } = style.metadata;
  const collection = feature.sourceLayer;
  const label = feature.layer.metadata?.["calanque:label"];
  const box = element("div", undefined, "popup");
  box.append(element("h3", label ? label[language] : title[language]));
  const list = element("dl");
  for (const [name, value] of Object.entries(feature.properties)) {
    const known = fields[name];
    const nothing = value === null || value === "" || (name.startsWith("n_") && value === 0);
    if (HIDDEN.has(name) || name.startsWith("class_") || name.startsWith("lisa_") || !known || nothing) continue;
    list.append(element("dt", known[language]), element("dd", valueText(value, language)));
  }
  box.append(list);
  const key = feature.properties[keys[collection]];
  if (key !== undefined) {
    const link = element("a", language === "fr" ? "Fiche complète" : "Whole record");
    link.href = `${root}/collections/${encodeURIComponent(collection)}/items/${encodeURIComponent(key)}`;
    box.append(link);
  }
  return box;
}
