"""Administration, for those who have the key for it."""

import pb


class Administrator(pb.Perspective):
    def perspective_kick(self, name):
        """End everything that this user has attached, over all connections."""
        self.service.application.authorizer.kick(name)

    async def perspective_disable(self, name):
        """Do the same, and let nobody log in as this user again."""
        identity = await self.service.application.authorizer.get_identity(name)
        await identity.disable()


class Admin(pb.Service):
    def get_perspective_named(self, name):
        return Administrator(name, self)
