/** The mark of a database engine: two letters on a tile in the engine's hue. */

import css from './engine.module.css'

const MARKS: Record<string, string> = {
  postgresql: 'Pg',
  mysql: 'My',
  mariadb: 'Ma',
  redis: 'Re',
  mongodb: 'Mo',
}

export const engineTitle = (name: string): string =>
  ({ postgresql: 'PostgreSQL', mysql: 'MySQL', mariadb: 'MariaDB', redis: 'Redis', mongodb: 'MongoDB' })[
    name
  ] ?? name

export const EngineMark = ({ engine, size = 34 }: { engine: string; size?: number }) => (
  <span
    className={css.mark}
    data-engine={engine}
    style={{ width: size, height: size, fontSize: size * 0.42 }}
    aria-hidden
  >
    {MARKS[engine] ?? engine.slice(0, 2)}
  </span>
)
