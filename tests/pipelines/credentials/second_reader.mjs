// What @trustnxt/c2pa-ts, which shares no code with c2pa-python, finds in a file: {valid, entries, labels} as JSON.
import { readFile } from "node:fs/promises";
import { BMFF, PNG } from "@trustnxt/c2pa-ts/asset";
import { SuperBox } from "@trustnxt/c2pa-ts/jumbf";
import { ManifestStore } from "@trustnxt/c2pa-ts/manifest";

for (const brand of ["isom", "qt  "]) BMFF.canReadBrands.add(brand); // it lists those of pictures alone
const data = await readFile(process.argv.at(-1));
const asset = PNG.canRead(data) ? new PNG(data) : new BMFF(data);
const store = ManifestStore.read(SuperBox.fromBuffer(asset.getManifestJUMBF()));
const result = await store.validate(asset);
const active = store.getActiveManifest();
const labels = active.assertions.assertions.map(({ label }) => label);
console.log(JSON.stringify({ valid: result.isValid, entries: result.statusEntries, labels }, null, 1));
