// Changing the address from within a page, without knowing the frame.
export const go = (to, replace = false) => {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  dispatchEvent(new PopStateEvent("popstate"));
};
export const cameraPath = (name, rest = "") => `/console/cameras/${encodeURIComponent(name)}${rest}`;
