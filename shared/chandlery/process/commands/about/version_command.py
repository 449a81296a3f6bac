"""`chandlery version`: what is installed here, for people and for programs."""

import json

import click

from chandlery.process.commands.about.release_facts import as_lines, release_facts


@click.command("version")
@click.option("-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text", help="Form of the answer.")
def tell_version(output: str) -> None:
    """Tell what is installed here: version, commit, database schema, API versions, extras.

    It asks no server: what a gateway is, it says at /version (`kubectl version`).
    """
    facts = release_facts()
    if output == "json":
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    elif output == "yaml":
        import yaml  # noqa: PLC0415 - for this form alone

        click.echo(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo("\n".join(as_lines(facts)))
