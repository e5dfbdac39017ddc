/**
 * Place of an image on the earth, as the server's answer tells it.
 *
 * @typedef {object} Georeference
 * @property {string|null} crs as "EPSG:32618", or WKT; null if the file names none
 * @property {number[]|null} transform a, b, c, d, e, f of x = a·column + b·row + c and
 *   y = d·column + e·row + f; null if there is none
 * @property {number|null} pixel_area_m2
 */

const HECTARE_M2 = 10_000;

/**
 * @param {{crs: string|null, transform: number[]}} georeference
 * @param {number} column
 * @param {number} row
 * @returns {string} coordinates of the pixel's centre, to about a tenth of a pixel, and the CRS
 */
export function describePlace({ crs, transform: [a, b, c, d, e, f] }, column, row) {
  const [x, y] = [column + 0.5, row + 0.5];
  const decimals = countDecimals(Math.max(Math.hypot(a, d), Math.hypot(b, e)));
  const [east, north] = [a * x + b * y + c, d * x + e * y + f].map((number) =>
    number.toFixed(decimals));
  return `${east}, ${north}  ${nameCrs(crs)}`;
}

/** @param {number} pixel side in units of the CRS */
function countDecimals(pixel) {
  return pixel > 0 ? Math.min(12, Math.max(1, 1 - Math.floor(Math.log10(pixel)))) : 1;
}

/** @param {string|null} crs @returns {string} its code, or the name in its WKT */
export function nameCrs(crs) {
  if (!crs) return "no CRS";
  return /^\w+\["([^"]*)"/.exec(crs)?.[1] ?? crs;
}

/**
 * @param {number[]} areas in m²
 * @returns {string[]} in hectares, all with as many decimals as the largest needs for four digits
 */
export function writeHectares(areas) {
  const hectares = areas.map((area) => area / HECTARE_M2);
  const largest = Math.max(...hectares);
  const digits = largest > 0
    ? Math.min(6, Math.max(0, 3 - Math.floor(Math.log10(largest)))) : 0;
  return hectares.map((number) => number.toLocaleString("en-US",
    { minimumFractionDigits: digits, maximumFractionDigits: digits }));
}
