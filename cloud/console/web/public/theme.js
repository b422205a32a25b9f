// Runs before the first paint, so that a chosen theme never flashes the other one.
// A file of its own because the content security policy allows no inline script.
try {
  const chosen = localStorage.getItem('sealos.theme')
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen
} catch {
  // Storage may be closed to us; the system's preference holds then.
}
