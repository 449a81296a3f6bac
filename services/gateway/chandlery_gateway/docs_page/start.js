// The token that "Authorize" is given stays in this page: it is neither stored nor sent anywhere but here.
SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#api",
  validatorUrl: null,
  queryConfigEnabled: false,
  persistAuthorization: false,
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
});
