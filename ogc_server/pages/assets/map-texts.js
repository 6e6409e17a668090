// Texts of MapLibre's controls; its own are English.

const FRENCH = {
  "AttributionControl.ToggleAttribution": "Afficher ou masquer les sources",
  "AttributionControl.MapFeedback": "Signaler un problème sur la carte",
  "FullscreenControl.Enter": "Passer en plein écran",
  "FullscreenControl.Exit": "Quitter le plein écran",
  "GeolocateControl.FindMyLocation": "Afficher ma position",
  "GeolocateControl.LocationNotAvailable": "Position indisponible",
  "LogoControl.Title": "Logo de MapLibre",
  "Map.Title": "Carte",
  "Marker.Title": "Repère sur la carte",
  "NavigationControl.ResetBearing": "Glisser pour tourner la carte, cliquer pour remettre le nord en haut",
  "NavigationControl.ZoomIn": "Zoomer",
  "NavigationControl.ZoomOut": "Dézoomer",
  "Popup.Close": "Fermer la fiche",
  "ScaleControl.Feet": "pi",
  "ScaleControl.Meters": "m",
  "ScaleControl.Kilometers": "km",
  "ScaleControl.Miles": "mi",
  "ScaleControl.NauticalMiles": "M",
  "GlobeControl.Enable": "Afficher le globe",
  "GlobeControl.Disable": "Quitter le globe",
  "TerrainControl.Enable": "Afficher le relief",
  "TerrainControl.Disable": "Masquer le relief",
  "CooperativeGesturesHandler.WindowsHelpText": "Ctrl + molette pour zoomer",
  "CooperativeGesturesHandler.MacHelpText": "⌘ + molette pour zoomer",
  "CooperativeGesturesHandler.MobileHelpText": "Deux doigts pour déplacer la carte",
};

export function mapTexts(language) {
  return language === "fr" ? FRENCH : {};
}
