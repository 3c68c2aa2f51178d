# The table of all medians, from the files idle, peak (way, kB) and results (a line for each way and round).
FILENAME != "results" { kept[FILENAME, $1] = $2; next }
{ rounds[$1]++; for (field = 2; field <= NF; field++) value[$1, field, rounds[$1]] = $field }

function median(way, field,    n, i, j, sorted, swap) {
  n = rounds[way]
  for (i = 1; i <= n; i++) sorted[i] = value[way, field, i]
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && sorted[j - 1] > sorted[j]; j--) { swap = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = swap }
  return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}

function row(text, format, direct, weft, peer) {
  printf "| %-46s | %9s | %9s | %9s | %9s |\n", text, direct == "" ? "" : sprintf(format, direct), sprintf(format, weft),
    sprintf(format, peer), peer ? sprintf("%.2f", weft / peer) : ""
}
function of_results(text, format, field, scale, has_direct) {
  row(text, format, has_direct ? median("direct", field) / scale : "", median("weft", field) / scale, median("peer", field) / scale)
}

END {
  printf "| %-46s | %9s | %9s | %9s | %9s |\n", "", "direct", "Weft", "peer", "Weft/peer"
  print "|---|---|---|---|---|"
  of_results("full speed: requests/s", "%d", 2, 1, 1)
  of_results("full speed: p50, ms", "%.2f", 3, 1000, 1)
  of_results("full speed: p99, ms", "%.2f", 4, 1000, 1)
  of_results("full speed: CPU s of the pair for 100,000", "%.2f", 5, 1, 0)
  of_results("one connection: p50, ms", "%.3f", 6, 1000, 1)
  of_results("one connection: p99, ms", "%.3f", 7, 1000, 1)
  of_results("one connection: CPU s of the pair for 100,000", "%.2f", 8, 1, 0)
  row("RSS of the pair, idle, MiB", "%.1f", "", kept["idle", "weft"] / 1024, kept["idle", "peer"] / 1024)
  row("RSS of the pair, peak under load, MiB", "%.1f", "", kept["peak", "weft"] / 1024, kept["peak", "peer"] / 1024)
}
