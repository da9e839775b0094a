// As much of Unity as the client uses, so that its layer for Unity is compiled and driven without Unity.
using System;
using System.Collections.Generic;

namespace UnityEngine {
    public enum RuntimePlatform { Android, IPhonePlayer, LinuxEditor }

    public enum RuntimeInitializeLoadType { SubsystemRegistration }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class RuntimeInitializeOnLoadMethodAttribute : Attribute {
        public RuntimeInitializeOnLoadMethodAttribute(RuntimeInitializeLoadType type) { }
    }

    public class Object {
        public static readonly List<Object> Kept = new List<Object>();

        public static void DontDestroyOnLoad(Object target) {
            Kept.Add(target);
        }
    }

    public class MonoBehaviour : Object { }

    public sealed class GameObject : Object {
        public GameObject(string name) { }

        public T AddComponent<T>() where T : MonoBehaviour, new() {
            var added = new T();
            Kept.Add(added);
            return added;
        }
    }

    public static class Application {
        public static string persistentDataPath, version = "2.1.5";
        public static RuntimePlatform platform = RuntimePlatform.IPhonePlayer;
    }

    public static class Debug {
        public static readonly List<object> Lines = new List<object>();

        public static void Log(object message) {
            lock (Lines) Lines.Add(message);
        }

        public static void LogWarning(object message) {
            Log(message);
        }
    }

    public class AndroidJavaObject : IDisposable {
        public static string NoBackupFolder;

        public T Call<T>(string method) {
            return typeof(T) == typeof(string) ? (T)(object)NoBackupFolder : (T)(object)new AndroidJavaObject();
        }

        public T GetStatic<T>(string field) {
            return (T)(object)new AndroidJavaObject();
        }

        public void Dispose() { }
    }

    public sealed class AndroidJavaClass : AndroidJavaObject {
        public AndroidJavaClass(string name) { }
    }
}

namespace UnityEngine.Scripting {
    public sealed class PreserveAttribute : Attribute { }

    [AttributeUsage(AttributeTargets.Assembly)]
    public sealed class AlwaysLinkAssemblyAttribute : Attribute { }
}

namespace UnityEngine.iOS {
    public static class Device {
        public static string NoBackup;

        public static void SetNoBackupFlag(string path) {
            NoBackup = path;
        }
    }
}
