"""`lacuna completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the code that makes SHELL complete lacuna's commands, options and files.

    \b
    bash, in ~/.bashrc:                     eval "$(lacuna completion bash)"
    zsh, in ~/.zshrc after compinit:        eval "$(lacuna completion zsh)"
    fish, in ~/.config/fish/config.fish:    lacuna completion fish | source
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"click knows no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "lacuna", "_LACUNA_COMPLETE").source())
