// Hosts the scatter plot of jupyter-scatter (an anywidget) outside a notebook.
//
// An anywidget draws itself with `render({model, el})`, where `model` holds its settings. This is such a model, kept
// in the page alone: nobody listens on the other side. The plot inside (regl-scatterplot) is then spoken to directly.

const SETTINGS = {
  points: { view: new DataView(new ArrayBuffer(0)), dtype: "float32", shape: [0, 4] },
  selection: { view: new DataView(new ArrayBuffer(0)), dtype: "uint32", shape: [0] },
  event_types: { TOOLTIP: "tooltip", VIEW_RESET: "view_reset", VIEW_SAVE: "view_save" },
  toolbar_buttons: [],
  width: "auto",
  x_scale: "linear",
  y_scale: "linear",
  x_domain: [-1, 1],
  y_domain: [-1, 1],
  x_scale_domain: [-1, 1],
  y_scale_domain: [-1, 1],
  x_histogram: [0],
  y_histogram: [0],
  x_histogram_range: [-1, 1],
  y_histogram_range: [-1, 1],
  axes_color: [0.5, 0.5, 0.5, 1],
  legend_encoding: {},
  tooltip_properties: [],
  tooltip_histograms: [],
  tooltip_properties_non_visual_info: {},
  tooltip_color: [0, 0, 0, 1],
  tooltip_size: "small",
  tooltip_histograms_size: "small",
  label_tiles: [],
  label_tile_size: 256,
  annotations: null,
  mouse_mode: "panZoom",
  lasso_type: "freeform",
  camera_target: [0, 0],
  camera_distance: 1,
  camera_rotation: 0,
  size_scale_function: "constant",
  zoom_level: 0,
};

class LocalModel {
  #values;
  #listeners = new Map();

  constructor(values) {
    this.#values = new Map(Object.entries(values));
  }

  get(name) {
    return this.#values.has(name) ? this.#values.get(name) : null;
  }

  set(name, value) {
    this.#values.set(name, value);
    for (const listener of this.#listeners.get(`change:${name}`) ?? []) listener();
  }

  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
  }

  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
  }

  save_changes() {}

  send() {}
}

/** Draws the plot into `element` and resolves with its regl-scatterplot once that is there. */
export async function hostScatter(element, options) {
  const widget = (await import("/parts/scatter.js")).default;
  const height = element.clientHeight || 400;
  const model = new LocalModel({ ...SETTINGS, height, regl_scatterplot_options: options });
  await widget.render({ model, el: element });
  return new Promise((resolve, reject) => {
    let waited = 0;
    const look = () => {
      for (const part of element.querySelectorAll("div")) {
        if (part.api) return resolve(part.api);
      }
      waited += 1;
      if (waited > 600) return reject(new Error("The map does not start; does the browser have WebGL?"));
      requestAnimationFrame(look);
    };
    look();
  });
}
