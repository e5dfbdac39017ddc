"""`lacuna completion`."""

from __future__ import annotations

import click
from click.shell_completion import shell_complete

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    It completes the commands, options and file names of lacuna.

    \b
    bash, in ~/.bashrc:                     eval "$(lacuna completion bash)"
    zsh, in ~/.zshrc after compinit:        eval "$(lacuna completion zsh)"
    fish, in ~/.config/fish/config.fish:    lacuna completion fish | source
    """
    shell_complete(ctx.find_root().command, {}, "lacuna", "_LACUNA_COMPLETE", f"{shell}_source")
