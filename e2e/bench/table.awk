# The table of all medians, from the file results: way, name, value.
{ count[$1, $2]++; value[$1, $2, count[$1, $2]] = $3 }

function median(way, name,    n, i, j, sorted, swap) {
  n = count[way, name]
  for (i = 1; i <= n; i++) sorted[i] = value[way, name, i]
  for (i = 2; i <= n; i++)
    for (j = i; j > 1 && sorted[j - 1] > sorted[j]; j--) { swap = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = swap }
  return n % 2 ? sorted[(n + 1) / 2] : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}
function ratio(name, peer) {
  return median(peer, name) > 0 ? sprintf("%.2f", median("weft", name) / median(peer, name)) : ""
}
function row(text, format, name, scale, has_direct) {
  printf "| %-48s | %8s | %8s | %8s | %8s | %12s | %10s |\n", text, has_direct ? sprintf(format, median("direct", name) / scale) : "",
    sprintf(format, median("weft", name) / scale), sprintf(format, median("haproxy", name) / scale),
    sprintf(format, median("envoy", name) / scale), ratio(name, "haproxy"), ratio(name, "envoy")
}
function of_http(text, kind) {
  row(text ", full speed: requests/s", "%d", kind "-full-rate", 1, 1)
  row(text ", full speed: p50, ms", "%.2f", kind "-full-p50", 1000, 1)
  row(text ", full speed: p99, ms", "%.2f", kind "-full-p99", 1000, 1)
  row(text ", full speed: CPU s for 100,000", "%.2f", kind "-full-cpu", 1, 0)
  row(text ", one connection: p50, ms", "%.3f", kind "-one-p50", 1000, 1)
  row(text ", one connection: p99, ms", "%.3f", kind "-one-p99", 1000, 1)
  row(text ", one connection: CPU s for 100,000", "%.2f", kind "-one-cpu", 1, 0)
}

END {
  printf "| %-48s | %8s | %8s | %8s | %8s | %12s | %10s |\n", "", "direct", "Weft", "HAProxy", "Envoy", "Weft/HAProxy", "Weft/Envoy"
  print "|---|---|---|---|---|---|---|"
  of_http("HTTP/1.1", "http1")
  of_http("HTTP/2", "http2")
  row("a connection for each request: handshakes/s", "%d", "handshakes-rate", 1, 1)
  row("a connection for each request: CPU s for 1000", "%.3f", "handshakes-cpu", 1, 0)
  row("RSS idle, MiB", "%.1f", "rss-idle", 1024, 0)
  row("RSS with " open " open HTTP/1.1 connections, MiB", "%.1f", "rss-http1", 1024, 0)
  row("RSS with " open " open mTLS connections, MiB", "%.1f", "rss-tcp", 1024, 0)
}
