"""Settings of the database roles: what they are called, and whether the gateway's may write a status."""

from pydantic import BaseModel, Field


class DatabaseRoleSettings(BaseModel):
    """Part of `Settings`; `chandlery migrate` goes by them."""

    database_role_prefix: str = Field(
        default="chandlery",
        pattern="^[a-z_][a-z0-9_]{0,39}$",
        description="What the database roles that `chandlery migrate --roles` makes are called, before `_gateway` and "
        "the like; several installations on one PostgreSQL server need several.",
    )
    database_roles_write_status: bool = Field(
        default=False,
        description="With those roles, let the gateway write the status of objects, for clients of the API that do "
        "(`kubectl edit --subresource=status`). Otherwise such requests are answered 403.",
    )
