"""Consuming: each delivery goes into a handler slot, then is acknowledged, given back, or put with the dead letters."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage, AbstractQueue, ConsumerTag
from tenacity import RetryCallState

from chandlery.contracts.dead_letters import Reason
from chandlery.contracts.messages import UnreadableMessage, decode
from chandlery.messaging.bus import Handler
from chandlery.messaging.handler_slots import HandlerSlots
from chandlery.messaging.handling import failure_of
from chandlery.messaging.message_counting import Handled, MessageCounting
from chandlery.messaging.message_traces import MessageTraces
from chandlery.messaging.rabbitmq.connecting.rabbitmq_servers import CLOSE_SECONDS, close_channel, open_channel
from chandlery.messaging.rabbitmq.rabbitmq_delivery import Delivery
from chandlery.messaging.rabbitmq.rabbitmq_errors import describe, foreign_errors_translated
from chandlery.messaging.rabbitmq.rabbitmq_link import RabbitLink
from chandlery.messaging.rabbitmq.rabbitmq_publisher import RabbitPublisher
from chandlery.model.faults import Unavailable
from chandlery.retry.transient import SERVER_START

log = structlog.get_logger(__name__)

DeclareQueues = Callable[[AbstractConnection, AbstractChannel], Awaitable[Mapping[str, AbstractQueue]]]
"""Declares what is to be listened to on a new channel; the queues by the contract's names."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a subscription listens to."""

    queues: DeclareQueues
    publisher: RabbitPublisher
    """For what has to come again, and for what is given up on."""
    counting: MessageCounting
    concurrency: int
    prefetch: int
    traces: MessageTraces


class RabbitSubscription:
    """A channel that is opened again whenever it is lost, until close."""

    def __init__(
        self, link: RabbitLink, source: Source, handler: Handler, *, forget: Callable[["RabbitSubscription"], None]
    ) -> None:
        self._link = link
        self._source = source
        self._handler = handler
        self._forget = forget
        self._slots: HandlerSlots[Delivery] = HandlerSlots(self._work, limit=source.concurrency)
        self._channel: AbstractChannel | None = None
        self._consuming: list[tuple[AbstractQueue, ConsumerTag]] = []
        self._began = asyncio.Event()
        self._is_over = False
        self._listening: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Return when listening. If the caller gives up waiting, nothing is left behind."""
        self._listening = asyncio.create_task(self._listen(), name="amqp-subscription")
        began = asyncio.create_task(self._began.wait())
        try:
            await asyncio.wait({began, self._listening}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            began.cancel()
        if self._listening.done():
            raise Unavailable("The message bus was closed.")

    async def close(self) -> None:
        """Stop listening, wait for the handlers, give back the rest."""
        self._is_over = True
        self._slots.stop()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
        channel = self._channel
        if channel is not None:
            await self._stop_deliveries()
        await self._slots.settle()
        if channel is not None:
            await close_channel(channel)
        self._forget(self)

    def run_beside(self, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None] | None:
        return self._slots.run_beside(work)

    async def abandon(self) -> None:
        """Stop at once: handlers under way are cancelled."""
        self._is_over = True
        self._slots.stop()
        if self._listening is not None:
            self._listening.cancel()
        await self._slots.abandon()

    async def _listen(self) -> None:
        while not self._is_over:
            async for attempt in SERVER_START.around(Unavailable, before_sleep=_say_not_listening):
                with attempt:
                    lost = await self._open_unless_over()
            self._began.set()
            await lost.wait()
            # What waits on a dead channel will be delivered again; what is being worked on runs to its end.
            self._slots.withdraw()

    async def _open_unless_over(self) -> asyncio.Event:
        try:
            return await self._open()
        except Unavailable as fault:
            if self._is_over:
                # The client makes an error like others of a cancellation that comes while it waits for the server.
                raise asyncio.CancelledError from fault
            raise

    async def _open(self) -> asyncio.Event:
        """Start consuming on a new channel; the event is set when the channel or its consumer is lost."""
        connection = await self._link.connection()
        if self._channel is not None:
            await close_channel(self._channel)
        lost = asyncio.Event()
        with foreign_errors_translated():
            channel = self._channel = await open_channel(connection)
            channel.close_callbacks.add(lambda *_: lost.set())
            # The server takes a consumer away when the queue is deleted or its node goes. aio_pika has no callback for
            # that, so it is asked of the channel underneath.
            underlay = await channel.get_underlay_channel()
            underlay.on_consumer_cancel_callbacks.add(lambda _: lost.set())
            await channel.set_qos(prefetch_count=self._source.prefetch)
            self._consuming = []
            for name, queue in (await self._source.queues(connection, channel)).items():
                self._consuming.append((queue, await self._consume(queue, name)))
        return lost

    async def _consume(self, queue: AbstractQueue, name: str) -> ConsumerTag:
        async def receive(received: AbstractIncomingMessage) -> None:
            # Only handed over here: this runs in a task of the channel, which is cancelled when the connection breaks.
            self._slots.offer(Delivery(received, name, self._source.publisher))

        return await queue.consume(receive)

    async def _stop_deliveries(self) -> None:
        with suppress(Unavailable), foreign_errors_translated():
            async with asyncio.timeout(CLOSE_SECONDS):
                for queue, tag in self._consuming:
                    await queue.cancel(tag)
                for delivery in self._slots.withdraw():
                    await delivery.give_back()

    async def _work(self, delivery: Delivery) -> None:
        try:
            with foreign_errors_translated():
                try:
                    await self._handle(delivery)
                except Unavailable as fault:
                    # It could not be put elsewhere: it stays where it is.
                    _say_later(delivery, fault)
                    await delivery.give_back()
        except Unavailable as fault:
            # The channel is gone, and with it the claim on the message; it is delivered again.
            _say_later(delivery, fault)

    async def _handle(self, delivery: Delivery) -> None:
        counting = self._source.counting
        try:
            message = decode(delivery.received.body)
        except UnreadableMessage as error:
            await delivery.bury(Reason.UNREADABLE, delivery.history.failed(error, datetime.now(UTC)))
            counting.handled(None, Handled.GIVEN_UP)
            return
        history = delivery.history
        if history.verdict is not None:
            await delivery.bury(history.verdict, history)
            counting.handled(message, Handled.GIVEN_UP)
            return
        if delivery.is_uncounted:
            try:
                await delivery.count()
            except Unavailable as fault:
                # Better handled without being counted than not at all.
                _say_later(delivery, fault)
            else:
                return
        within = self._source.traces.processing(message, delivery.trace, queue=delivery.queue)
        with counting.handling(message):
            failure = await failure_of(self._handler, message, within=within, id=delivery.id)
        if failure is None:
            counting.handled(message, Handled.DONE)
            await delivery.acknowledge()
        else:
            is_buried = await delivery.failed(failure)
            counting.handled(message, Handled.GIVEN_UP if is_buried else Handled.GIVEN_BACK)


def _say_later(delivery: Delivery, fault: Unavailable) -> None:
    log.debug("A message will be redelivered", action="settle_message", queue=delivery.queue, reason=describe(fault))


def _say_not_listening(state: RetryCallState) -> None:
    why = describe(state.outcome.exception() if state.outcome else None)
    attempt = state.attempt_number
    log.warning(f"Cannot consume from the message bus ({why}); trying again", action="listen_amqp", attempt=attempt)
