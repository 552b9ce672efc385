"""gRPC's standard reflection service, under both of its names: what is served here, as descriptors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from google.protobuf.descriptor import FileDescriptor

from fairlead.access.scope import Scope
from fairlead.transport.grpc.messages import POOL, SERVICES, Message, message_class
from fairlead.transport.grpc.method import Context, Service

__all__ = ["reflection_services"]

_NOT_FOUND = 5
_PACKAGES = ("grpc.reflection.v1", "grpc.reflection.v1alpha")


def reflection_services() -> Iterator[Service]:
    """The service under each of its names."""
    return (
        Service(
            name=f"{package}.ServerReflection",
            unary={},
            streaming={"ServerReflectionInfo": Reflection(package)},
            scope=Scope.PREDICT,
        )
        for package in _PACKAGES
    )


class Reflection:
    """Answers in the messages of one package."""

    def __init__(self, package: str) -> None:
        self._response = message_class(f"{package}.ServerReflectionResponse")

    async def __call__(self, requests: AsyncIterator[Message], _context: Context) -> AsyncIterator[Message]:
        """ServerReflectionInfo."""
        async for request in requests:
            yield self._answer(request)

    def _answer(self, request: Message) -> Message:
        response = self._response(valid_host=request.host, original_request=request)
        asked = request.WhichOneof("message_request")
        if asked == "list_services":
            for name in SERVICES:
                response.list_services_response.service.add().name = name
            return response
        try:
            self._describe(request, asked, response)
        except KeyError:
            response.error_response.error_code = _NOT_FOUND
            response.error_response.error_message = "nothing of that name is known here"
        return response

    def _describe(self, request: Message, asked: str | None, response: Message) -> None:
        """Answer with descriptors, or raise KeyError. No message here has extensions."""
        match asked:
            case "file_by_filename":
                files = _with_imports(POOL.FindFileByName(request.file_by_filename))
            case "file_containing_symbol":
                files = _with_imports(_file_of(request.file_containing_symbol))
            case "all_extension_numbers_of_type":
                name = POOL.FindMessageTypeByName(request.all_extension_numbers_of_type).full_name
                response.all_extension_numbers_response.base_type_name = name
                return
            case _:
                raise KeyError
        response.file_descriptor_response.file_descriptor_proto.extend(files)


def _file_of(symbol: str) -> FileDescriptor:
    """The file that says what `symbol` is: a message, an enum, a service or a method of one."""
    try:
        return POOL.FindFileContainingSymbol(symbol)
    except KeyError:
        service, _, method = symbol.rpartition(".")
        return POOL.FindServiceByName(service).methods_by_name[method].containing_service.file


def _with_imports(file: FileDescriptor) -> list[bytes]:
    """The file and all that it needs, each once."""
    found: dict[str, bytes] = {}

    def add(one: FileDescriptor) -> None:
        if one.name not in found:
            found[one.name] = one.serialized_pb
            for needed in one.dependencies:
                add(needed)

    add(file)
    return list(found.values())
