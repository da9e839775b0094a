"use strict";

// Swagger UI has a dark style but does not choose it by itself.
const dark = matchMedia("(prefers-color-scheme: dark)");
const dress = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", dress);
dress();

const token = document.querySelector('meta[name="development-token"]')?.content;

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null, // the default one is on the internet
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: Boolean(token),
  onComplete: () => {
    if (token) {
      ui.preauthorizeApiKey("bearer", token);
      document.getElementById("development").hidden = false;
    }
  },
});
