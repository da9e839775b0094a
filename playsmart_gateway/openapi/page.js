"use strict";

// Swagger UI has a dark style but does not choose it by itself.
const dark = matchMedia("(prefers-color-scheme: dark)");
const dress = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", dress);
dress();

const token = document.querySelector('meta[name="development-token"]')?.content;
const example = JSON.stringify(document.querySelector("#development code").textContent);
let whole = "{}"; // the document, in which the examples are of that player
let known = example; // of whom the bodies are that are open

// Who registers or logs in on this page goes on as that player, in the examples, too.
function entered(answer) {
  const { access_token: token, user } = answer.obj?.data ?? {};
  if (answer.ok && new URL(answer.url).pathname.startsWith("/auth/") && token && user) {
    ui.preauthorizeApiKey("bearer", token);
    const mine = () => JSON.stringify(user.id);
    ui.specActions.updateJsonSpec(JSON.parse(whole.replaceAll(example, mine)));
    ui.getState().getIn(["oas3", "requestData"])?.forEach((methods, path) => methods.forEach((filled, method) => {
      const value = filled.get("bodyValue"); // of what is open already
      if (typeof value === "string") ui.oas3Actions.setRequestBodyValue({ value: value.replaceAll(known, mine), pathMethod: [path, method] });
    }));
    known = mine();
    document.getElementById("player").textContent = user.id;
    document.getElementById("development").hidden = true;
    document.getElementById("entered").hidden = false;
  }
  return answer;
}

// An operation is a button, and a link in it is one thing too many for keys and for who hears the page.
const plainPaths = () => ({
  wrapComponents: {
    DeepLink: (Original, { React }) => (props) => React.createElement(
      ...(props.path?.includes("/") ? ["span", {}, props.text] : [Original, props])),
  },
});

// Fields without a label that has a text say what they are to who hears the page.
function nameOf(field) {
  if (field.id === "servers") return "Server";
  if (field.matches(".examples-select-element")) return "Example";
  if (field.matches(".content-type, .content-type-wrapper *")) return "Media type";
  return field.closest("tr")?.dataset.paramName ?? "Body";
}

new MutationObserver(() => {
  for (const field of document.querySelectorAll("#api :is(select, textarea, input)")) {
    if (!field.ariaLabel && (field.id === "servers" || !field.labels.length)) field.ariaLabel = nameOf(field);
  }
}).observe(document.getElementById("api"), { childList: true, subtree: true });

const ui = SwaggerUIBundle({
  plugins: [plainPaths],
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null, // the default one is on the internet
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: Boolean(token),
  responseInterceptor: entered,
  onComplete: () => {
    whole = JSON.stringify(ui.specSelectors.specJson().toJS());
    if (token) {
      ui.preauthorizeApiKey("bearer", token);
      document.getElementById("development").hidden = false;
    }
  },
});
