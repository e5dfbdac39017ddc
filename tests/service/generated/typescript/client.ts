// A client of openapi-fetch, with the types that openapi-typescript has made of the document.
//
// node client.js URL, with the scene as JSON on standard input; the answers are written as JSON.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Request = components["schemas"]["SegmentRequest"];

declare const process: {
    argv: string[];
    stdin: AsyncIterable<Uint8Array>;
    stdout: { write(text: string): void };
};

async function readScene(): Promise<{ image: number[][]; mask: boolean[][]; png: string }> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const part of process.stdin) {
        text += decoder.decode(part, { stream: true });
    }
    return JSON.parse(text);
}

function require_<T>(value: T | undefined, error: unknown): T {
    if (value === undefined) {
        throw new Error(JSON.stringify(error));
    }
    return value;
}

// Answers of other types are left out.
const client = createClient<paths, "application/json" | "application/problem+json">({
    baseUrl: process.argv[2],
});
const { image, mask, png } = await readScene();
const [height, width] = [image.length, image[0]?.length ?? 0];

const listed = await client.GET("/v1/models");
const model = require_(listed.data, listed.error).models[0];
const name = require_(model, "a model must be served; there is none").name;

const body: Request = { image, mask };
const asJson = await client.POST("/v1/segment", { body });
const segmentation = require_(asJson.data, asJson.error);

const form = { image: new Blob([Uint8Array.from(atob(png), (c) => c.charCodeAt(0))]) };
const asForm = await client.POST("/v1/segment", {
    body: form as unknown as components["schemas"]["SegmentForm"],
    bodySerializer: () => {
        const data = new FormData();
        data.set("image", form.image);
        return data;
    },
});
const whole = require_(asForm.data, asForm.error);

const inferred = await client.POST("/v2/models/{name}/infer", {
    params: { path: { name } },
    body: {
        inputs: [
            { name: "image", datatype: "UINT8", shape: [1, height, width, 1], data: image.flat() },
            { name: "mask", datatype: "BOOL", shape: [1, height, width], data: mask.flat() },
        ],
        outputs: [{ name: "labels" }],
    },
});
const predicted = await client.POST("/v1/models/{name}:predict", {
    params: { path: { name } },
    body: { instances: [{ image, mask }], signature_name: "labels" },
});
const refused = await client.POST("/v1/segment", { body: { image, model: "other" } });

process.stdout.write(
    JSON.stringify({
        segmented: segmentation.classes.map((entry) => entry.pixels),
        whole: whole.classes.map((entry) => entry.pixels),
        inferred: require_(inferred.data, inferred.error).outputs[0]?.data,
        predicted: require_(predicted.data, predicted.error),
        code: refused.error?.code,
    }),
);
