/** Files that are dropped, those in folders included. */

/** @typedef {{file: File, name: string}} Named name is the path in the folder that was dropped */

/**
 * @param {DataTransfer} transfer of a drop; it is read before this returns for the first time
 * @returns {Promise<Named[]>} in order of their names
 */
export async function readDrop(transfer) {
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const isPlain = entries.every((entry) => !entry?.isDirectory);
  if (isPlain) return files.map((file) => ({ file, name: file.name }));
  const found = (await Promise.all(entries.map((entry) => entry && readEntry(entry)))).flat();
  return found.filter((named) => named !== null)
    .sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
}

/** @param {any} entry @returns {Promise<Named[]>} without hidden files */
async function readEntry(entry) {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => { entry.file(resolve, reject); });
    return [{ file, name: entry.fullPath.slice(1) }];
  }
  const reader = entry.createReader();
  const found = [];
  // A reader gives its entries in parts, and an empty one at the end.
  for (;;) {
    const part = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!part.length) break;
    found.push(...part);
  }
  return (await Promise.all(found.map(readEntry))).flat();
}
