import type { CommandContext, CommandOutcome } from './command-context.ts';

export type Shell = 'bash' | 'zsh' | 'fish';
export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish'];

/** A command as completion sees it: `path` is empty for the program itself, `wal list` for one below another. */
export interface CompletedCommand {
  path: string;
  children: readonly string[];
  /** Long options, dashes included. */
  options: readonly string[];
}

/** Prints the script that makes a shell complete sub-commands and options; settings count as options of every command. */
export function printCompletion(
  { print }: Pick<CommandContext, 'print'>,
  shell: Shell,
  commands: readonly CompletedCommand[],
  settings: readonly string[],
): CommandOutcome {
  print(SCRIPTS[shell](commands, settings));
  return 'done';
}

const SCRIPTS: Readonly<Record<Shell, (commands: readonly CompletedCommand[], settings: readonly string[]) => string>> =
  {
    bash: bashScript,
    zsh: (commands, settings) =>
      `#compdef walhold\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(commands, settings)}`,
    fish: fishScript,
  };

function bashScript(commands: readonly CompletedCommand[], settings: readonly string[]): string {
  const cases = commands.map(({ path, children, options }) => {
    return `    '${path}') words="${[...children, ...options].join(' ')}" ;;`;
  });
  const parents = commands.filter(({ path, children }) => path !== '' && children.length > 0).map(({ path }) => path);
  const top = commands.find(({ path }) => path === '')?.children ?? [];
  return `# Completion for walhold: put it where bash-completion looks, or source it.
_walhold() {
  local current=\${COMP_WORDS[COMP_CWORD]} word command='' words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$command" in
      '') case "$word" in ${top.join('|')}) command=$word ;; esac ;;
      ${parents.join('|')}) case "$word" in -*) ;; *) command="$command $word" ;; esac ;;
    esac
  done
  case "$command" in
${cases.join('\n')}
  esac
  case "$current" in --*) words="$words ${settings.join(' ')}" ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _walhold walhold
`;
}

function fishScript(commands: readonly CompletedCommand[], settings: readonly string[]): string {
  const lines = ['# Completion for walhold: put it into ~/.config/fish/completions/walhold.fish.'];
  for (const { path, children, options } of commands) {
    const [first, second] = path.split(' ');
    const below = second === undefined ? '' : ` && __fish_seen_subcommand_from ${second}`;
    const here = path === '' ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${first ?? ''}${below}`;
    for (const child of children) lines.push(`complete -c walhold -f -n '${here}' -a ${child}`);
    for (const option of options) lines.push(`complete -c walhold -n '${here}' -l ${option.slice(2)}`);
  }
  for (const setting of settings) lines.push(`complete -c walhold -r -l ${setting.slice(2)}`);
  return `${lines.join('\n')}\n`;
}
