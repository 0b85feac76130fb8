'use strict';
// This program uses npm to find the newest compatible versions for package.json. It
// writes package-lock.json. It installs no packages and does not run code from packages.

const [registry] = process.argv.slice(2);
process.argv.splice(
  1, process.argv.length, '/opt/pyth-on/tool/bin/npm-cli.js', 'install', '--package-lock-only', '--ignore-scripts',
  '--no-audit', '--no-fund', '--no-update-notifier', '--no-progress', '--color=false', '--install-links=false',
  '--fetch-retries=1', '--fetch-timeout=60000', '--loglevel=http', '--logs-max=0', `--registry=${registry}`,
);
require('/opt/pyth-on/tool/lib/cli.js')(process);
