// Addresses are relative, because a proxy may show the server under a prefix.
SwaggerUIBundle({
    dom_id: "#viewer",
    url: "openapi.json",
    deepLinking: true,
    defaultModelRendering: "model",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    docExpansion: "list",
    plugins: [sendWhatWasTyped],
    validatorUrl: null, // it would send the document to another host
});

// The fields of a form would be filled with samples, such as a model called "string"; and those that
// are empty would be sent, such as a mask without bytes.
function sendWhatWasTyped() {
    return {
        wrapComponents: { ParameterIncludeEmpty: () => () => null },
        afterLoad({ fn }) {
            const { getSampleSchema } = fn;
            fn.getSampleSchema = (schema, contentType, ...rest) =>
                contentType === false ? "" : getSampleSchema(schema, contentType, ...rest);
        },
    };
}
