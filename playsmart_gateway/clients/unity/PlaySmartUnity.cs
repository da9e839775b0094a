#if UNITY_5_3_OR_NEWER
using System;
using System.IO;
using UnityEngine;
using UnityEngine.Scripting;

[assembly: AlwaysLinkAssembly]

namespace PlaySmart {
    /// <summary>The client in a Unity game: one, from <c>Begin</c> to the end, whatever scenes come and go.</summary>
    /// <remarks>Its methods are for the main thread; those of <c>Client</c> for any.</remarks>
    [Preserve]
    public sealed class PlaySmartUnity : MonoBehaviour {
        private const double QuitSeconds = 2;

        /// <summary>The client; null before <c>Begin</c>.</summary>
        public static PlaySmartClient Client { get; private set; }

        /// <summary>Begin, as the game starts: once the player's id is known.</summary>
        /// <remarks>Called again it changes the player, if it is another; <c>token</c> stays the first one.</remarks>
        /// <param name="token">
        /// Is called on a thread of the client's, so it uses nothing of Unity: it returns what the game's
        /// login has got, or null as long as it has nothing.
        /// </param>
        /// <param name="verbose">Whether the console gets a line of each batch, not warnings alone.</param>
        /// <exception cref="ArgumentException">The url is not of http or https; something is missing.</exception>
        public static PlaySmartClient Begin(
            string url, string userId, string gameId, Func<string, string> token, bool verbose = false) {
            if (Client != null) {
                if (userId != Client.UserId) Client.ChangePlayer(userId);
                return Client;
            }
            var options = new PlaySmartOptions {
                AppVersion = Application.version, Platform = Platform(), Warn = LogWarning,
            };
            if (verbose) options.Debug = Log;
            Client = new PlaySmartClient(url, Folder(), userId, gameId, token, options);
            var keeper = new GameObject("PlaySmart");
            DontDestroyOnLoad(keeper);
            keeper.AddComponent<PlaySmartUnity>();
            return Client;
        }

        // the editor may keep what is static from one play to the next
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.SubsystemRegistration)]
        private static void Forget() {
            Client = null;
        }

        [Preserve]
        private void OnApplicationPause(bool isPaused) {
            if (isPaused && Client != null) Client.Background();
        }

        [Preserve]
        private void OnApplicationQuit() {
            if (Client != null) Client.Close(QuitSeconds);
        }

        /// <summary>Return a folder of the app's own that is in no backup.</summary>
        private static string Folder() {
            string folder = Path.Combine(Application.persistentDataPath, "playsmart");
            try {
#if UNITY_ANDROID && !UNITY_EDITOR
                using (var player = new AndroidJavaClass("com.unity3d.player.UnityPlayer"))
                using (var activity = player.GetStatic<AndroidJavaObject>("currentActivity"))
                using (var files = activity.Call<AndroidJavaObject>("getNoBackupFilesDir")) {
                    folder = Path.Combine(files.Call<string>("getAbsolutePath"), "playsmart");
                }
#endif
                Directory.CreateDirectory(folder);
#if UNITY_IOS && !UNITY_EDITOR
                UnityEngine.iOS.Device.SetNoBackupFlag(folder);
#endif
            } catch (Exception error) {
                LogWarning("the folder may be in a backup: " + error.GetType().Name);
            }
            return folder;
        }

        private static string Platform() {
            bool isIos = Application.platform == RuntimePlatform.IPhonePlayer;
            return isIos ? "ios" : Application.platform.ToString().ToLowerInvariant();
        }

        private static void Log(string line) {
            Debug.Log("PlaySmart: " + line);
        }

        private static void LogWarning(string line) {
            Debug.LogWarning("PlaySmart: " + line);
        }
    }
}
#endif
