/** Colours that can be told apart in light and dark, and by people who see fewer of them. */
export const PLOT_STYLE = `
text { font: 12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.paper { fill: #ffffff }
.head { font-size: 17px; font-weight: 600 }
.title { font-size: 13.5px; font-weight: 600 }
.language { font-weight: 600; fill: #57606a }
.small { font-size: 11px; fill: #57606a }
.note, .value { text-anchor: end }
.value { font-variant-numeric: tabular-nums }
.tick { text-anchor: middle }
.name { text-anchor: end }
text.product { font-weight: 600 }
.grid { stroke: #d8dee4; stroke-width: 1 }
.rule { stroke: #d8dee4; stroke-width: 1 }
.whisker { stroke: #1f2328; stroke-width: 1.3; fill: none }
rect.product { fill: #1f6feb }
rect.floor { fill: #8c959f }
rect.alternative { fill: #d4863a }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.paper { fill: #0d1117 }
.language, .small { fill: #9198a1 }
.grid, .rule { stroke: #30363d }
.whisker { stroke: #e6edf3 }
rect.product { fill: #4493f8 }
rect.floor { fill: #656d76 }
rect.alternative { fill: #e3a35e }
}
`
